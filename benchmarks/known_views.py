"""Objects photographed from several known sides: all views of each, read from a folder.

The folder has images/, masks/ and depth/, in each <class>/<object>-<view>, and cameras.json.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.build.keys import make_key
from datamodules.build.maps import read_depth, read_mask
from datamodules.errors import DataError, first_line
from datamodules.json_values import as_object, parse_json, shown
from datamodules.modalities import MASK_OBJECT
from datamodules.photograph import read_photograph
from renderers.cameras import Camera, intrinsics_from_fov

CONVENTION = "cam2world, row-major, OpenCV axes; z-depth = value / 65535 * 2, 0 = nothing"
"""What cameras.json says of itself."""

DEPTH_UNIT = 2 / 65535
"""Of stored z-depth, in units of the world."""

FRONT_TO_X = (
    (0.0, 0.0, 1.0, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)
"""Turn from the world of the models, whose front is towards +z, to that of boxes: towards +x."""


@dataclass(frozen=True)
class ObjectViews:
    """V views of an object of a class `label`, whose photographs are `names`, class/name.

    image: (V, 3, H, W) in [0, 1]; mask: (V, H, W) bool; depth: (V, H, W) along the cameras' axes,
    0 where there is nothing; camera: (V,) in the frame of the object's box, whose front is towards
    +x.
    """

    names: tuple[str, ...]
    label: str
    image: Tensor
    mask: Tensor
    depth: Tensor
    camera: Camera


@dataclass(frozen=True)
class KnownViews:
    """A folder of photographs and what its cameras.json tells.

    poses: cam2world by class/name, row by row; fov_degrees: of all cameras.
    """

    source: Path
    poses: Mapping[str, list[float]]
    fov_degrees: float

    def objects(self) -> list[tuple[str, ...]]:
        """Names of the photographs of each object."""
        groups: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.poses):
            groups[name.rpartition("-")[0]].append(name)
        return [tuple(names) for names in groups.values()]

    def read(self, names: tuple[str, ...], resolution: int | None) -> ObjectViews:
        """Read the photographs of an object.

        Images are resized with antialiasing, masks and depth to the nearest pixel; None leaves
        them.

        Raises:
            DataError: a file of them cannot be used.
        """
        try:
            pixels = [self._pixels(name, resolution) for name in names]
            images, masks, depths = (torch.stack(part) for part in zip(*pixels, strict=True))
        except (ValueError, OSError, RuntimeError) as error:  # RuntimeError: of several sizes
            raise DataError(f"{names[0]} in {self.source} and its other views cannot be read: "
                            f"{first_line(error)}.") from error  # fmt: skip
        poses = torch.tensor([self.poses[name] for name in names]).view(-1, 4, 4)
        intrinsics = intrinsics_from_fov(self.fov_degrees).expand(len(names), 3, 3)
        camera = Camera(torch.tensor(FRONT_TO_X) @ poses, intrinsics)
        return ObjectViews(names, names[0].partition("/")[0], images, masks, depths, camera)

    def _pixels(self, name: str, resolution: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Image, mask and depth of a photograph."""
        image = read_photograph(self.source / "images" / f"{name}.jpg")
        mask = read_mask(self.source / "masks" / f"{name}.png", image.size) == MASK_OBJECT
        depth = read_depth(self.source / "depth" / f"{name}.png", image.size, "disparity")
        size = image.size if resolution is None else (resolution, resolution)
        small = image.resize(size, Image.Resampling.BOX)
        codes, values = (
            np.array(Image.fromarray(part).resize(size, Image.Resampling.NEAREST))
            for part in (mask.astype(np.uint8), depth)
        )
        return (
            torch.from_numpy(np.array(small)).movedim(-1, 0) / 255,
            torch.from_numpy(codes) > 0,
            torch.from_numpy(values).float() * DEPTH_UNIT,
        )


def read_known_views(source: Path) -> KnownViews:
    """Read the cameras.json of a folder.

    Raises:
        DataError: there is none, or it is of another format.
    """
    path = source / "cameras.json"
    if not path.is_file():
        raise DataError(f"{source} has no cameras.json: name the folder of the true views.")
    try:
        known = as_object(parse_json(path.read_bytes()), "it")
        if known.get("convention") != CONVENTION:
            raise ValueError(f"its convention is {shown(known.get('convention'))}")
        poses = as_object(known.get("cam2world"), "cam2world")
        for name, pose in poses.items():
            numbers = np.asarray(pose, np.float64)
            if numbers.shape != (16,) or not np.isfinite(numbers).all() or name.count("/") != 1:
                raise ValueError(f"the pose of {name} is {shown(pose)}")
        return KnownViews(source, poses, float(known["fov_degrees"]))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise DataError(
            f"{path} is of another format than expected ({first_line(error)})."
        ) from error


def read_objects(source: Path, resolution: int) -> dict[str, ObjectViews]:
    """All views of the object in each photograph, by the photograph's key in shards; see
    `KnownViews.read`.

    Raises:
        DataError: the folder is of another format.
    """
    known = read_known_views(source)
    objects: dict[str, ObjectViews] = {}
    for names in known.objects():
        views = known.read(names, resolution)
        objects |= {make_key(*name.split("/")): views for name in names}
    return objects
