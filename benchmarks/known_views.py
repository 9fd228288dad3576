"""Objects photographed from several known sides: all views of each, read from a folder."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.build.keys import make_key
from datamodules.errors import DataError
from renderers.cameras import Camera, intrinsics_from_fov

DEPTH_UNIT = 2 / 65535
"""Of stored z-depth, in units of the world."""


@dataclass(frozen=True)
class ObjectViews:
    """V views of an object of a class `label`, whose photographs are `names`, class/name.

    image: (V, 3, H, W) in [0, 1]; mask: (V, H, W) bool; depth: (V, H, W) along the cameras' axes,
    0 where there is nothing; camera: (V,).
    """

    names: tuple[str, ...]
    label: str
    image: Tensor
    mask: Tensor
    depth: Tensor
    camera: Camera


def read_objects(source: Path, resolution: int | None) -> dict[str, ObjectViews]:
    """All views of the object in each photograph, by the photograph's key in shards.

    Images are resized with antialiasing, masks and depth to the nearest pixel; None leaves them.

    Raises:
        DataError: the folder has no cameras.json.
    """
    described = source / "cameras.json"
    if not described.is_file():
        raise DataError(f"{source} has no cameras.json: name the folder of the true views.")
    known = json.loads(described.read_text())
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(known["cam2world"]):
        groups[name.rpartition("-")[0]].append(name)
    objects: dict[str, ObjectViews] = {}
    for names in groups.values():
        poses = torch.tensor([known["cam2world"][name] for name in names]).view(-1, 4, 4)
        intrinsics = intrinsics_from_fov(known["fov_degrees"]).expand(len(names), 3, 3)
        views = _views(source, names, resolution, Camera(poses, intrinsics))
        objects |= {make_key(*name.split("/")): views for name in names}
    return objects


def _views(source: Path, names: list[str], resolution: int | None, camera: Camera) -> ObjectViews:
    images: list[Tensor] = []
    masks: list[Tensor] = []
    depths: list[Tensor] = []
    for name in names:
        with Image.open(source / "images" / f"{name}.jpg") as image:
            size = image.size if resolution is None else (resolution, resolution)
            small = image.convert("RGB").resize(size, Image.Resampling.BOX)
        images.append(torch.from_numpy(np.array(small)).movedim(-1, 0) / 255)
        for folder, found in (("masks", masks), ("depth", depths)):
            with Image.open(source / folder / f"{name}.png") as stored:
                nearest = stored.resize(size, Image.Resampling.NEAREST)
            found.append(torch.from_numpy(np.array(nearest).astype(np.float32)))
    depth = torch.stack(depths) * DEPTH_UNIT
    label = names[0].partition("/")[0]
    seen, shape = torch.stack(images), torch.stack(masks) > 0
    return ObjectViews(tuple(names), label, seen, shape, depth, camera)
