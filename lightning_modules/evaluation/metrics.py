"""Figures of an evaluation out of what was measured of its scenes, each under the name of what it
is measured with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datamodules.errors import counted
from lightning_modules.evaluation.condition_figures import Brightness
from lightning_modules.evaluation.conditions import condition_figures
from lightning_modules.evaluation.distances import (
    class_diversity,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)
from lightning_modules.evaluation.measures import THUMBNAIL, Measures
from lightning_modules.evaluation.poses import PosedImages
from lightning_modules.evaluation.real_features import RealFeatures
from lightning_modules.evaluation.real_poses import class_rotations, pose_figures
from lightning_modules.evaluation.settings import (
    BETTER,
    OF_FEATURES,
    MetricName,
    MetricSettings,
)
from lightning_modules.evaluation.true_shapes import TrueShapes, rotated, set_figures

OF_SCENES: Mapping[MetricName, tuple[str, ...]] = {
    "psnr": ("psnr", "object_psnr"),
    "ssim": ("ssim",),
    "lpips": ("lpips",),
    "silhouette": ("silhouette_iou",),
    "depth": ("depth_error", "depth_correlation", "depth_delta"),
    "nfs": ("nfs",),
    "consistency": ("reprojection_colour", "reprojection_depth", "covisible"),
    "mask_fou": ("mask_fou",),
    "mesh_fou": ("mesh_fou",),
    "shapes": ("chamfer", "normal_consistency"),
}
"""Figures of single scenes that belong to a metric; theirs is the mean over the scenes."""

LACKING = {
    "nfs": "without anything to see",
    "mask_fou": "without a solid pixel",
    "mesh_fou": "without a surface",
    "chamfer": "without a surface",
    "normal_consistency": "without a surface",
    "object_psnr": "without a visible pixel of the object",
}
"""What scenes are that have no such figure; others show nothing that is known."""


@dataclass(frozen=True)
class MeasuredWith:
    """What figures are measured with, for their labels.

    network: name of that of features, empty without one; depth: whose depth that of scenes is
    compared with; lpips: name of its network; reconstructions: whether the scenes are made of
    photographs; free: whether the generator chose the rotation of each class's world; names: of the
    classes; asks: conditions that scenes were asked for beside the class.
    """

    network: str
    depth: str = "stored"
    lpips: str = ""
    reconstructions: bool = False
    free: bool = False
    names: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()

    def label(self, figure: str, settings: MetricSettings) -> str:
        """A figure with what it is measured with, e.g. mesh_fou/64 for so many lattice points; rfid
        and rkid of reconstructions."""
        match figure:
            case "psnr" | "object_psnr" | "ssim" | "silhouette_iou":
                return figure
            case "depth_error" | "depth_correlation" | "depth_delta":
                return f"{figure}/{self.depth}"
            case "reprojection_colour" | "reprojection_depth" | "covisible":
                return f"{figure}/{settings.novel}"
            case "chamfer" | "normal_consistency" | "coverage" | "mmd":
                return f"{figure}/{settings.shape_points}"
            case "size_correlation" | "size_within_class":
                return f"{figure}/opacity"
            case "day_from_night":
                return f"{figure}/luminance"
            case "pose_error" | "pose_median":
                return f"{figure}/{THUMBNAIL}x{THUMBNAIL}"
            case "lpips":
                return f"{figure}/{self.lpips}"
            case "nfs" | "mask_fou" | "mesh_fou":
                on = {"nfs": "disparity", "mask_fou": "opacity"}
                return f"{figure}/{on.get(figure, settings.fou_resolution)}"
        of_photographs = self.reconstructions and figure.startswith(("fid", "kid"))
        return f"{'r' if of_photographs else ''}{figure}/{self.network}"


def better(label: str) -> str | None:
    """Whether a figure is better the higher or the lower it is; None if neither."""
    name = label.partition("/")[0]
    return BETTER.get(name) or BETTER.get(name.removeprefix("r"))


@dataclass(frozen=True)
class Truth:
    """What scenes are compared with: features of the real images; their poses, what these are
    measured to have and by chance, true shapes, and how bright they are by time of day where a
    metric asks for that."""

    real: RealFeatures
    poses: PosedImages | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    shapes: TrueShapes | None = None
    bright: Brightness | None = None


def metrics_of(
    measured: Measures, truth: Truth, settings: MetricSettings, of: MeasuredWith
) -> dict[str, float]:
    """Figures by label, e.g. kid/classifier-shapeworld-1a2b3c4d, in the order they were asked for.

    Where labels of the scenes are -1, any class, those of real images do not count either.

    Raises:
        DataError: there are too few images, see `distances`.
    """
    found: dict[str, float] = {}
    for metric in settings.metrics:
        if metric in OF_FEATURES:
            values = _of_features(metric, truth.real, measured, settings)
        elif metric == "conditions":
            values = condition_figures(measured, of.asks, truth.bright)
        elif metric == "pose" and truth.poses is not None:
            values = pose_figures(measured, truth.poses, of.free)
        elif metric == "shapes" and truth.shapes is not None and not of.reconstructions:
            values = _of_shapes(measured, truth, truth.shapes, of)
        else:
            names = [name for name in OF_SCENES[metric] if name in measured.figures]
            values = {name: float(measured.figures[name].nanmean()) for name in names}
        found |= {of.label(name, settings): value for name, value in values.items()}
    return found


def left_out(measured: Measures) -> dict[str, str]:
    """How many scenes a mean leaves out and why, by the figures that leave out any."""
    counts = {name: int(values.isnan().sum()) for name, values in measured.figures.items()}
    return {
        name: f"{counted(count, 'scene')} {LACKING.get(name, 'in which nothing known is seen')}"
        for name, count in counts.items()
        if count
    }


def _of_shapes(
    measured: Measures, truth: Truth, shapes: TrueShapes, of: MeasuredWith
) -> dict[str, float]:
    """Coverage of true shapes, in their world where poses tell how a generator's is turned."""
    clouds = measured.clouds
    if of.free and truth.poses is not None:
        clouds = rotated(clouds, measured.labels, class_rotations(measured, truth.poses))
    return set_figures(clouds, measured.labels, of.names, shapes)


def _of_features(
    metric: MetricName, real: RealFeatures, fake: Measures, settings: MetricSettings
) -> dict[str, float]:
    """One metric, with what belongs to it, by name."""
    vectors, drawn, seed = real.features.vectors, fake.features.vectors, settings.metric_seed
    match metric:
        case "fid":
            return {"fid": frechet_distance(vectors, drawn)}
        case "fid_3d":
            found, own = (frechet_distance(vectors, of) for of in (fake.novel.vectors, drawn))
            return {"fid_3d": found, "fid_3d_ratio": _share(found, own)}
        case "kid" | "kid_3d":
            size = settings.subset_size(len(vectors), len(drawn))
            fakes = drawn if metric == "kid" else fake.novel.vectors
            distance = kernel_distance(vectors, fakes, settings.kid_subsets, size, seed)
            return {metric: distance.mean, f"{metric}_std": distance.std}
        case "is":
            score = inception_score(fake.features.logits, settings.is_splits, seed)
            return {"is": score.mean, "is_std": score.std}
        case "pr":
            overlap = precision_recall(vectors, drawn, settings.neighbours)
            return {"precision": overlap.precision, "recall": overlap.recall}
    return _diversity(vectors, real.labels, drawn, fake.labels)


def _diversity(real: Tensor, real_labels: Tensor, fake: Tensor, labels: Tensor) -> dict[str, float]:
    """Diversity within classes, as a share of that of real images: of all classes, and of the one
    that is least diverse, near 0 where a class has collapsed."""
    known = bool((labels >= 0).any())
    real_labels = real_labels if known else torch.full_like(real_labels, -1)
    every = _share(class_diversity(fake, labels), class_diversity(real, real_labels))
    if not known:
        return {"diversity": every}
    shares = []
    for label in labels.unique():
        of_fake, of_real = (
            class_diversity(vectors[of == label], of[of == label])
            for vectors, of in ((fake, labels), (real, real_labels))
        )
        shares.append(_share(of_fake, of_real))
    told = [share for share in shares if not math.isnan(share)]
    return {"diversity": every, "least_diversity": min(told, default=math.nan)}


def _share(value: float, whole: float) -> float:
    """NaN of nothing."""
    return value / whole if whole else math.nan
