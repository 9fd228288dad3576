"""`wild3d evaluate`: figures of generators and stage-1 models, and all it takes to compare them."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from datamodules.errors import DataError
from datamodules.lock import building_alone
from datamodules.manifest import Manifest
from datamodules.modalities import TRAIN, VAL
from datamodules.ranges import Fraction, Range, Workers
from datamodules.remote import read_manifest
from lightning_modules.evaluation.applicability import check_applies
from lightning_modules.evaluation.candidates import Kind, Views, repeated_count
from lightning_modules.evaluation.comparison import markdown_table
from lightning_modules.evaluation.evaluation import Evaluation, Opening
from lightning_modules.evaluation.instruments import Instruments
from lightning_modules.evaluation.networks import WITH_INCEPTION, open_network
from lightning_modules.evaluation.parts import Parts
from lightning_modules.evaluation.real_features import check_cache
from lightning_modules.evaluation.real_images import RealImages
from lightning_modules.evaluation.results import (
    check_places,
    write_results,
    write_sheet,
    write_tensorboard,
)
from lightning_modules.evaluation.settings import OF_FEATURES, MetricSettings
from lightning_modules.evaluation.true_shapes import TrueShapes
from lightning_modules.inference.computing import AUTO, Precision, chosen_precision, drawing
from lightning_modules.inference.limits import BatchSize, Device
from lightning_modules.inference.processes import Place
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.labelling.depth_networks import open_depth_network
from lightning_modules.losses.perceptual import IN_EVALUATION, PerceptualLoss

Background = Fraction | Literal["photo"]


def evaluate(
    checkpoint: list[str] | str,
    root: str,
    features: str = WITH_INCEPTION,
    features_weights: str | None = None,
    samples: Annotated[int, Range(2, 10_000_000)] | None = None,
    repeats: Annotated[int, Range(1, 1000)] = 1,
    split: str | None = None,
    real_images: Annotated[int, Range(2, 2**31 - 1)] | None = None,
    crop_share: Fraction | None = None,
    background: Background | None = None,
    views: Views | None = None,
    out: str = "outputs/evaluation.json",
    tensorboard: str | None = None,
    batch_size: BatchSize = 16,
    cache: str | None = None,
    num_workers: Workers = 0,
    stage1: str | None = None,
    device: Device = AUTO,
    render_precision: Precision | None = None,
    settings: MetricSettings = MetricSettings(),
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Measure scenes that generators draw, or that stage-1 models make of photographs, and compare
    them with a data set.

    Drawn scenes have the classes of the real images in the same proportions, and seeds 0, 1 and so
    on. Figures are named after the network behind them: those of other networks, counts,
    resolutions or cameras can't be compared. Nothing is downloaded.

    Started by torchrun or SLURM, processes divide the scenes among themselves, and figures are
    those of one process. The same command again continues after an interruption.

    Args:
        checkpoint: of a prior, a GAN or a stage-1 model, or several of a kind side by side, e.g.
            runs/vq3d-shapeworld-prior/checkpoints/best.ckpt.
        root: image shards they are compared with.
        features: network of fid, kid, is, pr and diversity: inception, which published metrics use;
            the checkpoint of a classifier of the data (`make classifier`); torchvision:NAME;
            transformers:NAME or transformers:FOLDER.
        features_weights: file of the weights of inception or of torchvision's network; by default
            that in torch's cache.
        samples: scenes of each repeat; by default 2000 drawn ones, or all photographs.
        repeats: with other seeds, or other photographs, for the spread of every figure.
        split: of the real images; by default train, and val for reconstructions.
        real_images: take only the first of them, in stored order; by default all.
        crop_share: side of the middle square of real images as a share of their shorter side; by
            default as in a GAN's training (`data.crop_share`), else 1.
        background: grey level in [0, 1] to show around the objects of real images, by their masks;
            photo leaves them as they are; by default as in a GAN's training (`data.background`),
            and of drawn objects in boxes that behind them.
        views: from where drawn scenes are measured: own is the canonical view, or of a GAN views as
            in its training; photographs those of the real images, by default of objects in boxes.
        out: JSON file of figures, protocol and provenance; a table and a sheet lie beside it.
        tensorboard: folder for the figures as scalars, too, e.g. runs/evaluation.
        batch_size: scenes measured at once.
        cache: folder of the real images' features, computed once; by default features/ in root.
        num_workers: processes that decode real images; 0 decodes in this one.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        render_precision: of making scenes and pictures of them, but for drawing tokens; by default
            bf16 on a GPU, as in training, and float32 elsewhere. Features and geometry are float32.
        settings: which metrics, and how.
        sampling: how scenes are drawn.
    """
    check_cache(cache)
    check_places(Path(out), tensorboard)
    place = Place.found(os.environ)
    device = place.own_device(device)
    opening = Opening(stage1, sampling, device, chosen_precision(render_precision, device))
    checkpoints = (checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint)
    instruments = _instruments(settings, (features, features_weights), opening)
    manifest = read_manifest(root)
    kind = _kind(checkpoints, opening, settings, manifest, (crop_share, background, views))
    chosen = split or (VAL if kind.reconstructs else TRAIN)
    images = RealImages.open(root, chosen, kind.resolution, real_images, kind.framing)
    count = repeated_count(kind.reconstructs, images.count, samples, repeats)
    settings.check(images.count, count)
    evaluation = Evaluation(
        checkpoints,
        opening,
        images,
        instruments,
        kind,
        ((count,) * repeats,) * len(checkpoints),
        cache,
        num_workers,
    )
    evaluation.check()
    if place.rank == 0:
        _ = evaluation.truth  # told before the hours of drawing, if it can't be done
    parts = Parts.beside(Path(out), evaluation.made(), evaluation.counts, batch_size)
    if not evaluation.measure(parts, place):
        print(f"process {place.rank} of {place.world} is through with its scenes")
        return
    with building_alone(parts.folder.parent):
        if parts.folder.exists():  # or another process was quicker
            _finish(evaluation, parts, Path(out), tensorboard)


def _finish(evaluation: Evaluation, parts: Parts, out: Path, tensorboard: str | None) -> None:
    """Write the results of all parts, and remove these."""
    results, protocol = evaluation.results(parts), evaluation.protocol()
    table = markdown_table({result.name: dict(result.figures) for result in results})
    print(table, end="")
    for result in results:
        for figure, how in result.left_out.items():
            print(f"left out of the mean of {figure}: {how}")
    write_results(out, results, protocol, table)
    if tensorboard is not None:
        write_tensorboard(tensorboard, results)
    for number, result in enumerate(results):
        stem = out.stem if len(results) == 1 else f"{out.stem}-{result.name}"
        sheet = out.with_name(f"{stem}.png")
        write_sheet(sheet, evaluation.subjects(number, 0), result.provenance.note())
    parts.remove()
    scenes = evaluation.counts[0][0] * evaluation.repeats
    print(f"{scenes} scenes, {evaluation.images.count} real images; protocol in {out}")


def _kind(
    checkpoints: tuple[str, ...],
    opening: Opening,
    settings: MetricSettings,
    manifest: Manifest,
    cut: tuple[float | None, float | Literal["photo"] | None, Views | None],
) -> Kind:
    """What all checkpoints have alike; each is opened once.

    Raises:
        DataError: they differ, or a metric does not apply to one.
    """
    kinds: list[Kind] = []
    for checkpoint in checkpoints:
        candidate = opening.candidate(checkpoint)
        check_applies(candidate, settings, manifest)
        kinds.append(candidate.kind(*cut, manifest, settings))
        kinds[0].check_same(kinds[-1], (checkpoints[0], checkpoint))
    if not kinds:
        raise DataError("--checkpoint is empty: name at least one.")
    if twice := next((path for path in checkpoints if checkpoints.count(path) > 1), None):
        raise DataError(f"--checkpoint names {twice} twice: name each once.")
    return kinds[0]


def _instruments(
    settings: MetricSettings, features: tuple[str, str | None], opening: Opening
) -> Instruments:
    """What measures scenes, with those networks that a metric looks at."""
    device = opening.device
    network = lpips = depth = shapes = None
    default = features == (WITH_INCEPTION, None)
    if settings.asks(*OF_FEATURES, "conditions") or not default:
        network = open_network(*features).to(device)
        settings.check_network(network)
    if settings.asks("lpips"):
        lpips = PerceptualLoss(settings.perceptual_weights, IN_EVALUATION)
    if settings.asks("depth") and settings.depth_network is not None:
        precision = chosen_precision(None, device)
        depth = open_depth_network(settings.depth_network, device, precision, flip=False)
    if settings.asks("shapes") and settings.shapes is not None:
        shapes = TrueShapes.read(settings.shapes, settings.shape_points, settings.metric_seed)
    draws = partial(drawing, device, opening.render_precision)
    return Instruments(settings, network, lpips, depth, shapes, draws)
