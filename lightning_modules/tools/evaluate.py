"""`wild3d evaluate`: metrics of a generator, with all that is needed to compare them."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from datamodules.augment import Framing
from datamodules.classes import class_name
from datamodules.errors import DataError
from datamodules.files import write_json
from datamodules.modalities import TRAIN
from datamodules.ranges import Fraction, Range, Workers
from lightning_modules.evaluation.distances import inception_score
from lightning_modules.evaluation.fakes import measure_fakes
from lightning_modules.evaluation.feature_network import FeatureNetwork, Features
from lightning_modules.evaluation.label_plan import check_classes, label_plan
from lightning_modules.evaluation.metrics import MetricSettings, metrics_of
from lightning_modules.evaluation.networks import WITH_INCEPTION, open_network
from lightning_modules.evaluation.real_features import check_cache, real_features
from lightning_modules.evaluation.real_images import RESIZE, RealImages
from lightning_modules.inference.limits import BatchSize, Device
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_maker import SceneDrawer


def evaluate(
    checkpoint: str,
    root: str,
    features: str = WITH_INCEPTION,
    features_weights: str | None = None,
    samples: Annotated[int, Range(2, 10_000_000)] = 2000,
    split: str = TRAIN,
    real_images: Annotated[int, Range(2, 2**31 - 1)] | None = None,
    crop_share: Fraction | None = None,
    background: Fraction | Literal["photo"] | None = None,
    out: str = "outputs/evaluation.json",
    batch_size: BatchSize = 16,
    cache: str | None = None,
    num_workers: Workers = 0,
    stage1: str | None = None,
    device: Device = "cpu",
    settings: MetricSettings = MetricSettings(),
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Compare images that a generator draws with those of a data set.

    Fakes have the classes of the real images in the same proportions, and seeds 0, 1 and so on.
    Metrics are named after the network behind them: those of other networks, counts, resolutions or
    cameras can't be compared. Nothing is downloaded.

    Args:
        checkpoint: of a generator, e.g. runs/vq3d-shapeworld-prior/checkpoints/best.ckpt.
        root: image shards it is compared with.
        features: inception, which published metrics use; the checkpoint of a classifier of the
            data (`make classifier`); torchvision:NAME of a classifier, e.g. torchvision:resnet50;
            or transformers:NAME or transformers:FOLDER of an image model.
        features_weights: file of the weights of inception, or of torchvision's network; by default
            that in torch's cache.
        samples: images to draw.
        split: of the real images.
        real_images: take only the first of them, in stored order; by default all.
        crop_share: side of the middle square of real images as a share of their shorter side; by
            default as in a GAN's training (`data.crop_share`), else 1.
        background: grey level in [0, 1] to show around the objects of real images, by their masks;
            photo leaves them as they are; by default as in a GAN's training (`data.background`).
        out: JSON file of metrics, protocol and provenance.
        batch_size: images drawn at once.
        cache: folder of the real images' features, computed once; by default features/ in root.
        num_workers: processes that decode real images; 0 decodes in this one.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute, e.g. cuda.
        settings: which metrics, and how.
        sampling: how scenes are drawn.
    """
    check_cache(cache)
    network = _network(features, features_weights, settings)
    if network is not None:
        network.to(device)
    drawer = open_maker(checkpoint, stage1, sampling, device).drawer()
    if drawer.classes == 0:
        drawer.check_labels([-1])
    framing = _framing(drawer, crop_share, background)
    images = RealImages.open(root, split, drawer.resolution, real_images, framing)
    check_classes(checkpoint, drawer.classes, len(images.manifest.classes))
    settings.check(images.count, samples)
    real = real_features(network, images, cache, num_workers)
    labels = label_plan(real.labels, samples, drawer.classes)
    geometry = settings.geometry
    measured = measure_fakes(
        drawer, labels, batch_size, network, geometry, settings.surface, settings.novel
    )
    name = "" if network is None else network.name
    metrics = metrics_of(name, real, torch.tensor(labels), measured, settings)
    for label, value in metrics.items():
        print(f"{label}: {value:.5g}")
    protocol = _drawn(drawer, labels, images.manifest.classes) | {"sampling": sampling.given}
    protocol |= _compared(network, images) | _estimated(real.features, samples, settings)
    if left_out := measured.left_out():
        protocol["left_out"] = left_out
        print("left out of the mean: " + ", ".join(f"{n}: {how}" for n, how in left_out.items()))
    provenance = made_now(checkpoint).of_results()
    write_json(Path(out), {"figures": metrics, "protocol": protocol, "provenance": provenance})
    print(f"{samples} samples, {images.count} real images; protocol in {out}")


def _network(
    features: str, features_weights: str | None, settings: MetricSettings
) -> FeatureNetwork | None:
    """The network of the metrics, none where Inception is the default that no metric looks at."""
    default = features == WITH_INCEPTION and features_weights is None
    if default and set(settings.metrics) <= set(settings.geometry):
        return None
    network = open_network(features, features_weights)
    settings.check_network(network)
    return network


def _framing(
    drawer: SceneDrawer, crop_share: float | None, background: float | Literal["photo"] | None
) -> Framing:
    """Cut of the real images: as asked for, else as in the generator's training."""
    trained = drawer.framing
    share = trained.crop_share if crop_share is None else crop_share
    if background == "photo":
        return Framing(share)
    if trained.background is not None and background not in (None, trained.background):
        raise DataError(
            f"background is {background}, but {drawer.checkpoint} was trained on objects on "
            f"{trained.background}: leave --background out."
        )
    return Framing(share, trained.background if background is None else background)


def _drawn(drawer: SceneDrawer, labels: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """Protocol of the fakes."""
    return {
        "checkpoint": drawer.checkpoint,
        "samples": len(labels),
        "seeds": f"0 to {len(labels) - 1}",
        "classes": {class_name(label, names): n for label, n in sorted(Counter(labels).items())},
        "cameras": drawer.viewpoints,
        "resolution": drawer.resolution,
    }


def _compared(network: FeatureNetwork | None, images: RealImages) -> dict[str, Any]:
    """Protocol of the real images and of the features."""
    compared = {
        "root": images.root,
        "split": images.split,
        "real_images": images.count,
        "real_images_sha256": images.images_hash,
        **images.framing._asdict(),
    }
    if network is None:
        return compared
    return compared | {
        "resize": f"real images: {RESIZE}; network: {network.resize}",
        "network": network.name,
        "network_sha256": network.weights,
        "torch_fidelity": version("torch-fidelity"),
    }


def _estimated(real: Features, samples: int, settings: MetricSettings) -> dict[str, Any]:
    """Protocol of the estimates; of IS also what real images reach."""
    protocol: dict[str, Any] = {"metric_seed": settings.metric_seed}
    if {"kid", "kid_3d"} & set(settings.metrics):
        protocol["kid_subsets"] = settings.kid_subsets
        protocol["kid_subset_size"] = settings.subset_size(len(real), samples)
    if settings.novel is not None:
        yaw, pitch = settings.novel_yaw_degrees, settings.novel_pitch_degrees
        protocol["novel_views"] = f"canonical view turned by up to {yaw:g} and {pitch:g} degrees"
    if "pr" in settings.metrics:
        protocol["neighbours"] = settings.neighbours
    if "is" in settings.metrics:
        splits = min(settings.is_splits, len(real))
        score = inception_score(real.logits, splits, settings.metric_seed)
        protocol |= {"is_splits": settings.is_splits, "is_of_real_images": score.mean}
    return protocol
