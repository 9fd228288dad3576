"""Metrics of a generator: how they are estimated, each under the name of the network behind it."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.ranges import Count, Range, Seed
from lightning_modules.evaluation.distances import (
    class_diversity,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)
from lightning_modules.evaluation.fakes import (
    FOU_SURFACE,
    FakeMeasures,
    GeometryName,
    NovelViews,
)
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.real_features import RealFeatures
from lightning_modules.inference.limits import Lattice
from lightning_modules.inference.meshing import Surface

MetricName = Literal["fid", "kid", "is", "pr", "diversity", "fid_3d", "kid_3d"] | GeometryName
GEOMETRY: tuple[GeometryName, ...] = get_args(GeometryName)

KID_SUBSET_SIZE = 1000


@dataclass(frozen=True)
class MetricSettings:
    """Metrics to compute, and settings of their estimates.

    Args:
        metrics: fid, kid, is (Inception Score), pr (precision and recall), diversity (within
            classes, of that of real images), fid_3d and kid_3d (of novel views), nfs (non-flatness
            score), and of objects in boxes mask_fou and mesh_fou (floater over union).
        kid_subsets: random subsets that KID is averaged over.
        kid_subset_size: images of each; by default 1000, or all where there are fewer.
        is_splits: parts of the images that IS is averaged over.
        neighbours: how far around an image its set reaches, for precision and recall.
        novel_yaw_degrees, novel_pitch_degrees: how far novel views are turned from the canonical
            one at most, around and up and down.
        metric_seed: of the subsets and splits.
        fou_resolution: lattice points along each side of the box of a mesh for mesh_fou.
    """

    metrics: tuple[MetricName, ...] = ("fid", "kid", "is")
    kid_subsets: Annotated[int, Range(1, 1_000_000)] = 100
    kid_subset_size: Annotated[int, Range(2, 2**31 - 1)] | None = None
    is_splits: Count = 10
    neighbours: Count = 3
    novel_yaw_degrees: Annotated[float, Range(0, 180)] = 22.5
    novel_pitch_degrees: Annotated[float, Range(0, 90)] = 10.0
    metric_seed: Seed = 0
    fou_resolution: Lattice = FOU_SURFACE.resolution

    @property
    def geometry(self) -> tuple[GeometryName, ...]:
        """Those that need no network."""
        return tuple(name for name in GEOMETRY if name in self.metrics)

    @property
    def novel(self) -> NovelViews | None:
        """Views of which FID and KID are asked for beside the others, None if they are not."""
        if not {"fid_3d", "kid_3d"} & set(self.metrics):
            return None
        return NovelViews(
            math.radians(self.novel_yaw_degrees), math.radians(self.novel_pitch_degrees)
        )

    @property
    def surface(self) -> Surface:
        """Of which the FOU of meshes is taken."""
        return Surface(self.fou_resolution)

    def label(self, name: GeometryName) -> str:
        """A name with what it is measured on, e.g. mesh_fou/64 for so many lattice points."""
        on = {"nfs": "disparity", "mask_fou": "opacity", "mesh_fou": str(self.fou_resolution)}
        return f"{name}/{on[name]}"

    def subset_size(self, real: int, fake: int) -> int:
        """Images of a KID subset, given the number of real and fake ones."""
        if self.kid_subset_size is not None:
            return self.kid_subset_size
        return min(KID_SUBSET_SIZE, real, fake)

    def check_network(self, network: FeatureNetwork) -> None:
        """DataError if a metric needs logits, and the network has none."""
        if "is" in self.metrics and not network.has_logits:
            raise DataError(
                f"--metrics has is, which needs logits, and {network.name} gives none: name "
                "metrics without it, e.g. fid kid, or inception or a classifier in --features."
            )

    def check(self, real: int, fake: int) -> None:
        """Refuse what so many images can't give, before any is drawn.

        Raises:
            DataError: one sentence with the value, the limit and the knob.
        """
        if not self.metrics:
            raise DataError(
                "--metrics is empty: name at least one of fid, kid, is, pr, diversity, "
                "fid_3d, kid_3d, nfs, mask_fou and mesh_fou."
            )
        if min(real, fake) < 2:
            raise DataError(f"samples is {fake}, of {real} real images: both must be at least 2.")
        size = self.subset_size(real, fake)
        if {"kid", "kid_3d"} & set(self.metrics) and not 2 <= size <= min(real, fake):
            raise DataError(
                f"kid_subset_size is {size}, it must be at least 2 and at most the {real} real "
                f"images and {fake} samples."
            )
        if "kid" in self.metrics and self.kid_subsets < 1:
            raise DataError(f"kid_subsets is {self.kid_subsets}, it must be at least 1.")
        if "pr" in self.metrics and self.neighbours >= min(real, fake):
            raise DataError(
                f"neighbours is {self.neighbours}, it must be below the {real} real images and "
                f"{fake} samples."
            )
        if "is" in self.metrics and not 1 <= self.is_splits <= fake:
            raise DataError(
                f"is_splits is {self.is_splits}, it must be at least 1 and at most the {fake} "
                "samples."
            )


def metrics_of(
    network: str, real: RealFeatures, labels: Tensor, fake: FakeMeasures, settings: MetricSettings
) -> dict[str, float]:
    """Metrics by label, e.g. kid/classifier-shapeworld-1a2b3c4d, in the order they were asked for.

    Args:
        labels: (N,) of the fakes, -1 for any class; then those of real images do not count either.

    Raises:
        DataError: there are too few images, see `distances`.
    """
    found: dict[str, float] = {}
    for metric in settings.metrics:
        if metric in GEOMETRY:
            found[settings.label(metric)] = fake.score(metric)
        else:
            measured = _of_features(metric, real, labels, fake, settings)
            found |= {f"{name}/{network}": value for name, value in measured.items()}
    return found


def _of_features(
    metric: str, real: RealFeatures, labels: Tensor, fake: FakeMeasures, settings: MetricSettings
) -> dict[str, float]:
    """One metric, with what belongs to it, by name."""
    vectors, drawn, seed = real.features.vectors, fake.features.vectors, settings.metric_seed
    turned = drawn if fake.novel is None else fake.novel.vectors
    match metric:
        case "fid":
            return {"fid": frechet_distance(vectors, drawn)}
        case "fid_3d":
            found = frechet_distance(vectors, turned)
            return {"fid_3d": found, "fid_3d_ratio": found / frechet_distance(vectors, drawn)}
        case "kid" | "kid_3d":
            size = settings.subset_size(len(vectors), len(drawn))
            fakes = drawn if metric == "kid" else turned
            distance = kernel_distance(vectors, fakes, settings.kid_subsets, size, seed)
            return {metric: distance.mean, f"{metric}_std": distance.std}
        case "is":
            score = inception_score(fake.features.logits, settings.is_splits, seed)
            return {"is": score.mean, "is_std": score.std}
        case "pr":
            overlap = precision_recall(vectors, drawn, settings.neighbours)
            return {"precision": overlap.precision, "recall": overlap.recall}
    of_real = real.labels if (labels >= 0).any() else torch.full_like(real.labels, -1)
    return {"diversity": class_diversity(drawn, labels) / class_diversity(vectors, of_real)}
