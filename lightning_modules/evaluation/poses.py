"""Pose error of a generator's images without a network that tells poses: the true camera of the
photograph that looks most like an image, against the camera the image was rendered from.

Of systems that never saw a pose, after the one rotation of each class's world that they are free to
choose. Uniformly random rotations are pi / 2 + 2 / pi apart on average, 126.5 degrees; cameras that
all stand upright are less, e.g. 90 degrees where they differ in yaw alone. What is measured is
limited by how well nearest features tell a pose: see `pose_floor`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError

ROUNDS = 10
"""Of reweighting: ten more turn no class of nearest photographs by a degree."""
CLOSE = 1e-3
"""Frobenius distance of rotations, 0.04 degrees, below which a match counts no more for being
nearer still."""
FOLDS = 10
"""Parts of a class; the rotation of each is fitted to the others."""
ROWS = 256
"""Images compared with all photographs of their class at once."""


@dataclass(frozen=True)
class PosedImages:
    """N images and their cameras, on the CPU.

    features: (N, F); labels: (N,) int64, -1 for any class; rotations: (N, 3, 3) of cam2world, in
    the world of a generator or of photographs; objects: (N,) integers, alike of images of one
    object, which are never matched with one another; None where all are of different ones.
    """

    features: Tensor
    labels: Tensor
    rotations: Tensor
    objects: Tensor | None = None


@dataclass(frozen=True)
class PoseError:
    """Mean and median angle in degrees, in [0, 180], between cameras of images and of the
    photographs most like them, over all images that have one; and the number of their classes."""

    mean: float
    median: float
    classes: int


def pose_error(photographs: PosedImages, images: PosedImages, free: bool) -> PoseError:
    """Error of the poses of images by those of photographs; free: whether the images' generator
    was free to choose the rotation of each class's world, see `pose_errors`.

    Raises:
        DataError: a class has no photographs to match, or no two images where they are free.
    """
    objects = None
    if photographs.objects is not None and images.objects is not None:
        objects = photographs.objects, images.objects
    nearest = nearest_photographs(
        photographs.features, photographs.labels, images.features, images.labels, objects
    )
    errors = pose_errors(photographs.rotations[nearest], images.rotations, images.labels, free)
    known = errors.isfinite()
    if not known.any():
        raise DataError("No class has two samples to fit its rotation to: raise --samples.")
    errors, labels = errors[known], images.labels[known]
    return PoseError(float(errors.mean()), float(errors.quantile(0.5)), len(labels.unique()))


def pose_floor(photographs: PosedImages, held_out: PosedImages) -> PoseError:
    """Error of photographs whose poses are true, by those of other objects of their class: what
    poses that are as good as true are measured to have. The two may be the same photographs;
    features drawn at random tell what chance is.

    Features that are pooled over an image hardly tell poses: those of a classifier of `lowpoly`
    have 87 degrees, its photographs of 8 x 8 pixels 75, chance 106.

    Raises:
        ValueError: objects are not given, so that photographs would be matched with themselves.
        DataError: a class has photographs of one object only.
    """
    if photographs.objects is None or held_out.objects is None:
        raise ValueError("pose_floor needs to know the objects of photographs: give both.")
    return pose_error(photographs, held_out, free=False)


def nearest_photographs(
    real: Tensor,
    real_labels: Tensor,
    fake: Tensor,
    fake_labels: Tensor,
    objects: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Indices (N,) of the photographs, features (M, F) with labels (M,), nearest to images (N, F)
    among those of their labels (N,); -1 is matched with those of any class.

    Distances are Euclidean, of features as they are: divided by their deviation, those that hardly
    vary, like pixels of an even background, would count as much as those that tell poses.

    Args:
        objects: (M,) of the photographs and (N,) of the images: those of one are not matched.

    Raises:
        DataError: an image has no photograph to match.
    """
    nearest = torch.empty(len(fake), dtype=torch.long)
    for label in fake_labels.unique().tolist():
        candidates = ((real_labels == label) | (label < 0)).nonzero()[:, 0]
        for rows in (fake_labels == label).nonzero()[:, 0].split(ROWS):
            distance = torch.cdist(fake[rows].double(), real[candidates].double())
            if objects is not None:
                same = objects[1][rows, None] == objects[0][candidates]
                distance = distance.masked_fill(same, torch.inf)
            if not distance.isfinite().any(1).all():
                other = "" if objects is None else " of another object"
                raise DataError(
                    f"An image of class {label} has no photograph{other} to be matched with: raise "
                    "--real_images."
                )
            nearest[rows] = candidates[distance.argmin(1)]
    return nearest


def class_rotation(found: Tensor, given: Tensor) -> Tensor:
    """Rotation R (3, 3) float64 that brings given rotations (K, 3, 3) nearest to found ones (K, 3,
    3): least sum of |found - R given|, a sum of distances, not of squares, so that a minority of
    wrong matches hardly turns it.

    Squares are Wahba's problem (SIAM Review 7, 1965, 65-1), solved by the singular vectors of
    sum found given^T, mirrored where they would mirror; distances by solving it again with each
    match weighted by 1 / distance (Weiszfeld's algorithm), begun from the squares.
    """
    turns = found.double() @ given.double().mT  # (K, 3, 3), each what R is by one match
    rotation = _nearest_rotation(turns.sum(0))
    for _ in range(ROUNDS):
        distance = (turns - rotation).flatten(1).norm(dim=1).clamp(min=CLOSE)
        rotation = _nearest_rotation((turns / distance[:, None, None]).sum(0))
    return rotation


def _nearest_rotation(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones(3, dtype=matrix.dtype)
    sign[2] = torch.linalg.det(left @ right).sign()
    return (left * sign) @ right


def pose_errors(found: Tensor, given: Tensor, labels: Tensor, free: bool) -> Tensor:
    """Angles (N,) in degrees, float64, between found rotations (N, 3, 3) and given ones (N, 3, 3).

    free: turn the given ones by the `class_rotation` of their labels (N,) first, fitted to other
    images of the class, a tenth of it left out in turn: fitted to themselves, few images would be
    measured to be better than they are, and chance better than chance. NaN for the only image of
    its class.
    """
    if not free:
        return _angles(found, given)
    errors = torch.full((len(labels),), torch.nan, dtype=torch.float64)
    for label in labels.unique():
        of_class = (labels == label).nonzero()[:, 0]
        for fold in range(min(FOLDS, len(of_class)) if len(of_class) > 1 else 0):
            left_out = torch.arange(len(of_class)) % FOLDS == fold
            here, others = of_class[left_out], of_class[~left_out]
            turned = class_rotation(found[others], given[others]) @ given[here].double()
            errors[here] = _angles(found[here], turned)
    return errors


def _angles(first: Tensor, second: Tensor) -> Tensor:
    """Degrees (N,) between rotations; of their distance, whose digits small angles do not lose."""
    distance = (first.double() - second.double()).flatten(1).norm(dim=1)
    return torch.rad2deg(2 * torch.asin((distance / math.sqrt(8)).clamp(max=1)))
