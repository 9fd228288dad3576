"""Metrics of a generator: how they are estimated, each under the name of the network behind it."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from datamodules.errors import DataError
from datamodules.ranges import Count, Range, Seed
from lightning_modules.evaluation.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
)
from lightning_modules.evaluation.fakes import FOU_SURFACE, FakeMeasures, GeometryName
from lightning_modules.evaluation.feature_network import Features
from lightning_modules.inference.limits import Lattice
from lightning_modules.inference.meshing import Surface

MetricName = Literal["fid", "kid", "is"] | GeometryName
GEOMETRY: tuple[GeometryName, ...] = get_args(GeometryName)

KID_SUBSET_SIZE = 1000


@dataclass(frozen=True)
class MetricSettings:
    """Metrics to compute, and settings of their estimates.

    Args:
        metrics: fid, kid, is (Inception Score), nfs (non-flatness score), and of objects in boxes
            mask_fou and mesh_fou (floater over union).
        kid_subsets: random subsets that KID is averaged over.
        kid_subset_size: images of each; by default 1000, or all where there are fewer.
        is_splits: parts of the images that IS is averaged over.
        metric_seed: of the subsets and splits.
        fou_resolution: lattice points along each side of the box of a mesh for mesh_fou.
    """

    metrics: tuple[MetricName, ...] = ("fid", "kid", "is")
    kid_subsets: Annotated[int, Range(1, 1_000_000)] = 100
    kid_subset_size: Annotated[int, Range(2, 2**31 - 1)] | None = None
    is_splits: Count = 10
    metric_seed: Seed = 0
    fou_resolution: Lattice = FOU_SURFACE.resolution

    @property
    def geometry(self) -> tuple[GeometryName, ...]:
        """Those that need no network."""
        return tuple(name for name in GEOMETRY if name in self.metrics)

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

    def check(self, real: int, fake: int) -> None:
        """Refuse what so many images can't give, before any is drawn.

        Raises:
            DataError: one sentence with the value, the limit and the knob.
        """
        if not self.metrics:
            raise DataError(
                "--metrics is empty: name at least one of fid, kid, is, nfs, mask_fou and mesh_fou."
            )
        if min(real, fake) < 2:
            raise DataError(f"samples is {fake}, of {real} real images: both must be at least 2.")
        size = self.subset_size(real, fake)
        if "kid" in self.metrics and not 2 <= size <= min(real, fake):
            raise DataError(
                f"kid_subset_size is {size}, it must be at least 2 and at most the {real} real "
                f"images and {fake} samples."
            )
        if "kid" in self.metrics and self.kid_subsets < 1:
            raise DataError(f"kid_subsets is {self.kid_subsets}, it must be at least 1.")
        if "is" in self.metrics and not 1 <= self.is_splits <= fake:
            raise DataError(
                f"is_splits is {self.is_splits}, it must be at least 1 and at most the {fake} "
                "samples."
            )


def metrics_of(
    network: str, real: Features, fake: FakeMeasures, settings: MetricSettings
) -> dict[str, float]:
    """Metrics by label, e.g. kid/classifier-shapeworld-1a2b3c4d, in the order they were asked for.

    Raises:
        DataError: there are too few images, see `distances`.
    """
    found: dict[str, float] = {}
    seed = settings.metric_seed
    for metric in settings.metrics:
        if metric == "fid":
            found[f"fid/{network}"] = frechet_distance(real.vectors, fake.features.vectors)
        elif metric == "kid":
            size = settings.subset_size(len(real), len(fake.features))
            pair = real.vectors, fake.features.vectors
            distance = kernel_distance(*pair, settings.kid_subsets, size, seed)
            found[f"kid/{network}"] = distance.mean
            found[f"kid_std/{network}"] = distance.std
        elif metric == "is":
            score = inception_score(fake.features.logits, settings.is_splits, seed)
            found[f"is/{network}"], found[f"is_std/{network}"] = score.mean, score.std
        else:
            found[settings.label(metric)] = fake.score(metric)
    return found
