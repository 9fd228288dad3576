"""What is measured of scenes, and how."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from datamodules.errors import DataError
from datamodules.ranges import Count, Range, Seed
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.inference.limits import Lattice
from lightning_modules.inference.meshing import Surface
from lightning_modules.inference.sampling_options import check_unused

MetricName = Literal[
    "fid", "kid", "is", "pr", "diversity", "fid_3d", "kid_3d",
    "psnr", "ssim", "lpips", "silhouette", "depth",
    "nfs", "consistency", "mask_fou", "mesh_fou", "shapes", "pose",
    "conditions",
]  # fmt: skip

OF_FEATURES: tuple[MetricName, ...] = ("fid", "kid", "is", "pr", "diversity", "fid_3d", "kid_3d")
"""Those that compare features of images."""

OF_PHOTOGRAPHS: tuple[MetricName, ...] = ("psnr", "ssim", "lpips", "silhouette")
"""Those that compare scenes with the photographs that they are made of."""

OF_OBJECTS: tuple[MetricName, ...] = ("silhouette", "mask_fou", "mesh_fou", "shapes")
"""Those of scenes that end before an even background."""

BETTER: Mapping[str, Literal["higher", "lower"]] = {
    **dict.fromkeys(
        ("fid", "kid", "fid_3d", "fid_3d_ratio", "kid_3d", "lpips", "depth_error", "mask_fou",
         "mesh_fou", "reprojection_colour", "reprojection_depth", "chamfer", "mmd", "pose_error",
         "pose_median"), "lower"),
    **dict.fromkeys(
        ("is", "precision", "recall", "diversity", "least_diversity", "psnr", "object_psnr", "ssim",
         "silhouette_iou", "depth_correlation", "depth_delta", "nfs", "covisible", "coverage",
         "normal_consistency", "class_called", "size_correlation", "size_within_class",
         "day_from_night"), "higher"),
}  # fmt: skip
"""Which way figures are better, by the first part of their label; others are of no direction."""

KID_SUBSET_SIZE = 1000
FOU_SURFACE = Surface(resolution=64)
"""Of which the FOU of meshes is taken by default."""


@dataclass(frozen=True)
class NovelViews:
    """Views turned from the canonical one by up to so many degrees, around and up and down."""

    yaw_degrees: float = 22.5
    pitch_degrees: float = 10.0

    def __str__(self) -> str:
        return f"{self.yaw_degrees:g}x{self.pitch_degrees:g}"

    @property
    def told(self) -> str:
        """In words."""
        yaw, pitch = self.yaw_degrees, self.pitch_degrees
        return f"canonical view turned by up to {yaw:g} and {pitch:g} degrees"

    @property
    def radians(self) -> tuple[float, float]:
        """Both in radians."""
        return math.radians(self.yaw_degrees), math.radians(self.pitch_degrees)


@dataclass(frozen=True)
class MetricSettings:
    """Metrics to compute, and settings of their estimates.

    Args:
        metrics: by a network's features fid, kid, is (Inception Score), pr (precision and recall),
            diversity (within classes, of that of real images), fid_3d and kid_3d (of novel views);
            of reconstructions psnr, ssim, lpips and silhouette (IoU of masks); depth (accuracy);
            nfs (non-flatness score); consistency (of two views, by reprojection); of objects
            mask_fou and mesh_fou (floater over union), shapes (coverage and matching distance to
            those in --shapes, or of reconstructions the distance to their own), pose (error of
            the sides that samples show); conditions (samples asked to be like a photograph each, in
            class, size and time of day as far as the prior takes them).
        kid_subsets: random subsets that KID is averaged over.
        kid_subset_size: images of each; by default 1000, or all where there are fewer.
        is_splits: parts of the images that IS is averaged over.
        neighbours: how far around an image its set reaches, for precision and recall.
        novel_yaw_degrees, novel_pitch_degrees: how far novel views are turned from the canonical
            one at most, around and up and down.
        metric_seed: of the subsets and splits, and of points on surfaces.
        fou_resolution: lattice points along each side of the box of a mesh.
        depth_network: network that sees the depth in rendered images, for their depth accuracy as
            `wild3d label depth` takes it; by default the depth of the photographs in root.
        perceptual_weights: file of VGG16's weights, for LPIPS; by default torchvision's cache.
        shapes: folder of true point clouds or meshes, CLASS/NAME.ply.
        shape_points: points on each surface.
        pose_objects: expression whose first group names the object in the keys of real images that
            show it from several sides; by default each image is of another object.
    """

    metrics: tuple[MetricName, ...] = ("fid", "kid", "is")
    kid_subsets: Annotated[int, Range(1, 1_000_000)] = 100
    kid_subset_size: Annotated[int, Range(2, 2**31 - 1)] | None = None
    is_splits: Count = 10
    neighbours: Count = 3
    novel_yaw_degrees: Annotated[float, Range(0, 180)] = NovelViews.yaw_degrees
    novel_pitch_degrees: Annotated[float, Range(0, 90)] = NovelViews.pitch_degrees
    metric_seed: Seed = 0
    fou_resolution: Lattice = FOU_SURFACE.resolution
    depth_network: str | None = None
    perceptual_weights: str | None = None
    shapes: str | None = None
    pose_objects: str | None = None
    shape_points: Annotated[int, Range(16, 1_000_000)] = 2048

    def asks(self, *names: MetricName) -> bool:
        """Whether one of these metrics is asked for."""
        return any(name in self.metrics for name in names)

    @property
    def novel(self) -> NovelViews | None:
        """Views that are looked at beside the others, None if none are."""
        if not self.asks("fid_3d", "kid_3d", "consistency"):
            return None
        return NovelViews(self.novel_yaw_degrees, self.novel_pitch_degrees)

    @property
    def surface(self) -> Surface:
        """Of which FOU of meshes and shapes are taken."""
        return Surface(self.fou_resolution)

    def subset_size(self, real: int, fake: int) -> int:
        """Images of a KID subset, given the number of real and fake ones."""
        if self.kid_subset_size is not None:
            return self.kid_subset_size
        return min(KID_SUBSET_SIZE, real, fake)

    def check_network(self, network: FeatureNetwork) -> None:
        """DataError if a metric needs logits, and the network has none."""
        needing = [name for name in ("is", "conditions") if name in self.metrics]
        if needing and not network.has_logits:
            raise DataError(
                f"--metrics has {needing[0]}, which needs logits, and {network.name} gives none: "
                "name metrics without it, e.g. fid kid, or inception or a classifier in --features."
            )

    def check(self, real: int, fake: int) -> None:
        """Refuse what so many images can't give, before any is drawn.

        Raises:
            DataError: one sentence with the value, the limit and the knob.
        """
        if not self.metrics:
            raise DataError("--metrics is empty: name at least one, e.g. fid.")
        if self.asks("shapes") and self.shapes is None:
            raise DataError("shapes compares with true ones: name their folder in --shapes.")
        self._check_used()
        if min(real, fake) < 2:
            raise DataError(f"samples is {fake}, of {real} real images: both must be at least 2.")
        size = self.subset_size(real, fake)
        if self.asks("kid", "kid_3d") and not 2 <= size <= min(real, fake):
            raise DataError(
                f"kid_subset_size is {size}, it must be at least 2 and at most the {real} real "
                f"images and {fake} samples."
            )
        if self.asks("pr") and self.neighbours >= min(real, fake):
            raise DataError(
                f"neighbours is {self.neighbours}, it must be below the {real} real images and "
                f"{fake} samples."
            )
        if self.asks("is") and self.is_splits > fake:
            raise DataError(
                f"is_splits is {self.is_splits}, it must be at least 1 and at most the {fake} "
                "samples."
            )

    def _check_used(self) -> None:
        """DataError if an option is given of a metric that is not asked for."""
        options: tuple[tuple[str, str | None, MetricName], ...] = (
            ("depth_network", self.depth_network, "depth"),
            ("perceptual_weights", self.perceptual_weights, "lpips"),
            ("shapes", self.shapes, "shapes"),
            ("pose_objects", self.pose_objects, "pose"),
        )
        for option, value, metric in options:
            if not self.asks(metric):
                check_unused({option: value}, f"--metrics has no {metric}")
