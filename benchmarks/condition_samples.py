"""Samples that are asked for by conditions, the photographs these are taken from, and what is
measured of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import MASK_OBJECT, TIMES_OF_DAY
from datamodules.schema import Batch
from lightning_modules.evaluation.condition_figures import Asked, Found
from lightning_modules.evaluation.label_plan import label_plan
from lightning_modules.evaluation.real_images import RealImages
from lightning_modules.evaluation.sample_measures import extents, luminance, object_luminance
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.prior_settings import shared_conditions
from lightning_modules.inference.sampling_options import SamplingOptions
from models.classifier import SmallClassifier
from models.priors.conditions import ConditionKinds
from models.scenes import Scenes
from renderers.cameras import Camera

CLASS, SIZE, TIME = KINDS = ("class", "size", "time of day")
WHITE = 1.0
"""Grey level around the objects that the classifier was trained on (`data.background`)."""

GOLDEN = (5**0.5 - 1) / 2
"""Share of a whole by which one of any number of even places follows the one before."""

AT_ONCE = 20
"""Samples drawn, or photographs read, at once."""


def taken_by(kinds: ConditionKinds) -> tuple[str, ...]:
    """The conditions that a prior takes."""
    taken = (kinds.classes > 0, kinds.size, kinds.time_of_day)
    return tuple(name for name, known in zip(KINDS, taken, strict=True) if known)


def photographs(images: RealImages) -> Iterator[Batch]:
    """All images of a split with what is known of them."""
    with images.batches(AT_ONCE, 0) as loader:
        yield from track(loader, f"{images.split} images", -(-images.count // AT_ONCE))


def described(batch: Batch) -> Asked:
    """What photographs are."""
    assert batch.attributes is not None
    return Asked(batch.label, batch.attributes.size, batch.attributes.time_of_day)


def draw_asked(images: RealImages, count: int, kinds: ConditionKinds, seed: int) -> Asked:
    """Labels and sizes of images drawn at random, classes in their proportions, each with times of
    day in turn.

    Raises:
        DataError: sizes are wanted, and no image has one.
    """
    known = [described(batch) for batch in photographs(images)]
    label, size = torch.cat([one.label for one in known]), torch.cat([one.size for one in known])
    usable = (label >= 0) | (kinds.classes == 0)
    usable &= size.isfinite().all(1) | (not kinds.size)
    if not usable.any():
        raise DataError(f"No image of {images.root} has both class and size: name another --root.")
    label, size = label[usable], size[usable]
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(seed))
    drawn, times = [], []
    used: dict[int, int] = {}
    for wanted in label_plan(label, count, kinds.classes):
        rows = order if wanted < 0 else order[label[order] == wanted]
        turn = used[wanted] = used.get(wanted, -1) + 1
        drawn.append(int(rows[turn % len(rows)]))
        times.append((wanted + turn) % len(TIMES_OF_DAY))  # alike in few samples, too
    return Asked(label[drawn], size[drawn], torch.tensor(times))


def measure_real(images: RealImages, classifier: SmallClassifier) -> tuple[Asked, Found]:
    """What photographs on white are and show; their extents are not measured."""
    said, found = [], []
    for batch in photographs(images):
        assert batch.mask is not None
        pixels = batch.float_image()
        bright = luminance(pixels, batch.mask == MASK_OBJECT)
        extent = torch.full((len(batch), 3), torch.nan)
        said.append(described(batch))
        found.append(Found(extent, bright, classifier(pixels).argmax(1)))
    rows = [(one.label, one.size, one.time) for one in said]
    return Asked(*map(torch.cat, zip(*rows, strict=True))), Found.cat(found)


def measure_scenes(
    scenes: Scenes, camera: Camera, resolution: int, classifier: SmallClassifier, sized: bool
) -> Found:
    """What samples show to a camera each, and, where that is wanted, how large they are."""
    view = scenes.view(camera, resolution, resolution)
    grey, opacity = scenes.space.background, view.opacity[:, None]
    through, behind = (0.0, 0.0) if grey is None else (1 - opacity, grey)
    guess = classifier(view.rgb + through * (WHITE - behind)).argmax(1)
    bright = object_luminance(view, grey)
    unmeasured = torch.full((len(scenes), 3), torch.nan)
    return Found(extents(scenes) if sized else unmeasured, bright, guess)


def spread_yaws(numbers: Sequence[int], turn: float) -> Tensor:
    """Yaws in radians of the cameras of samples, up to `turn` radians to both sides of the
    canonical one, even over any range of samples' numbers."""
    return turn * (2 * ((torch.tensor(numbers) + 1) * GOLDEN % 1) - 1)


def told(options: SamplingOptions, asked: Asked, kinds: Sequence[str]) -> list[SamplingOptions]:
    """Options of drawing each sample, which say what the prior is told beside the class."""
    each = zip(asked.size.tolist(), asked.time.tolist(), strict=True)
    return [
        replace(
            options,
            size_condition=tuple(size) if SIZE in kinds else None,
            time_of_day=TIMES_OF_DAY[time] if TIME in kinds else None,
        )
        for size, time in each
    ]


@torch.no_grad()
def measure_samples(
    drawer: PriorScenes,
    asked: Asked,
    kinds: Sequence[str],
    classifier: SmallClassifier,
    turn: float,
) -> Found:
    """Draw samples whose prior is told some kinds of conditions, and measure them; a sample's seed
    is its number. turn: see `spread_yaws`."""
    groups: dict[SamplingOptions, list[int]] = {}
    for number, options in enumerate(told(drawer.options, asked, kinds)):
        groups.setdefault(options, []).append(number)
    parts, order = [], list[int]()
    for options, numbers in track(groups.items(), " + ".join(kinds)):
        # The maker that `open_maker` gives for these options, but of models that are loaded.
        shared = shared_conditions(options, drawer.generator.prior.kinds, drawer.checkpoint)
        maker = replace(drawer, options=options, shared=shared)
        for some in (numbers[n : n + AT_ONCE] for n in range(0, len(numbers), AT_ONCE)):
            labels = asked.label[some].tolist() if CLASS in kinds else [-1] * len(some)
            maker.check_labels(labels)
            scenes = maker.generate(labels, some)
            sized = maker.generator.prior.kinds.size
            yaws = spread_yaws(some, turn)
            camera = maker.view.offset(yaws, torch.zeros_like(yaws))
            parts.append(measure_scenes(scenes, camera, maker.resolution, classifier, sized))
            order += some
    return Found.cat(parts).at(torch.tensor(order).argsort())
