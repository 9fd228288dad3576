"""Poses of the real images, and of scenes as they tell them."""

import re
from dataclasses import replace

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from datamodules.rows import SplitRows
from lightning_modules.evaluation.measures import Measures, thumbnails
from lightning_modules.evaluation.poses import (
    PosedImages,
    class_rotation,
    nearest_photographs,
    pose_error,
    pose_floor,
)
from lightning_modules.evaluation.real_images import RealImages
from lightning_modules.evaluation.subjects import turned

READ_AT_ONCE = 64


def real_poses(images: RealImages, objects: str | None) -> PosedImages:
    """Thumbnails, labels and cameras of the real images.

    objects: regular expression whose first group is the name of an image's object, found in its
    key; without one each image is taken to be of another object.

    Raises:
        DataError: the images come without cameras, or the expression does not match a key.
    """
    rows = SplitRows(images.root, images.manifest, images.split, images.resolution, images.framing)
    if not rows.has_rays:
        raise DataError(
            f"{images.root} does not know from where its images were taken: leave pose out of "
            "--metrics."
        )
    parts, names = [], list[str]()
    for start in track(range(0, images.count, READ_AT_ONCE), "real cameras"):
        batch = rows.read(range(start, min(start + READ_AT_ONCE, images.count)))
        parts.append((thumbnails(batch.float_image()), batch.label, turned(batch.rays)))
        names += [key if objects is None else _object_of(key, objects) for key in batch.keys]
    rows.close()
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = torch.tensor([numbers[name] for name in names])
    small, labels, rotations = (torch.cat(part) for part in zip(*parts, strict=True))
    return PosedImages(small, labels, rotations, groups)


def _object_of(key: str, objects: str) -> str:
    match = re.search(objects, key)
    if match is None or not match.groups():
        raise DataError(
            f"--pose_objects {objects!r} finds no object in {key}: give an expression whose first "
            "group is its name."
        )
    return match.group(1)


def pose_figures(measured: Measures, real: PosedImages, free: bool) -> dict[str, float]:
    """Mean and median error in degrees of the sides that scenes show.

    free: of scenes whose generator was free to choose the rotation of each class's world.
    """
    found = pose_error(real, _posed(measured), free)
    return {"pose_error": found.mean, "pose_median": found.median}


def pose_limits(real: PosedImages) -> dict[str, float]:
    """What the same figures are of real images by those of other objects, whose poses are true, and
    what they are by chance."""
    floor = pose_floor(real, real)
    noise = torch.randn(real.features.shape, generator=torch.Generator().manual_seed(0))
    chance = pose_floor(replace(real, features=noise), replace(real, features=noise))
    return {
        "pose_error_of_real_images": floor.mean,
        "pose_median_of_real_images": floor.median,
        "pose_error_by_chance": chance.mean,
    }


def class_rotations(measured: Measures, real: PosedImages) -> dict[int, Tensor]:
    """Rotations (3, 3) of each class's world from that of a generator, which was free to choose it,
    to that of the real images."""
    images = _posed(measured)
    nearest = nearest_photographs(real.features, real.labels, images.features, images.labels)
    found = {}
    for label in images.labels.unique().tolist():
        mine = images.labels == label
        found[label] = class_rotation(real.rotations[nearest[mine]], images.rotations[mine])
    return found


def _posed(measured: Measures) -> PosedImages:
    return PosedImages(measured.thumbnails, measured.labels, measured.rotations)
