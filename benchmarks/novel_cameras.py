"""Cameras of the known views of an object, beside the one that took the input."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.known_views import ObjectViews
from datamodules.errors import DataError
from models.autoencoder import TokenAutoencoder
from models.scenes import Scenes
from renderers.cameras import Camera

NEAR = 1e-3
"""Of its distance to the object, by which the position of a camera may differ as it is stored."""


@torch.no_grad()
def unit_of(model: TokenAutoencoder, scene: Scenes, seen_by: Camera, views: ObjectViews) -> float:
    """The world's unit of a scene (1) reconstructed from a photograph that `seen_by` (1,) took,
    over the object's.

    Systems without boxes know depth up to a scale: it is the one at which the median depth of the
    object in the photograph is true.
    """
    if model.uses_sight:
        return 1.0
    taken = taken_view(seen_by, views)
    mask, side = views.mask[taken], views.mask.shape[-1]
    depth = 1 / scene.view(scene.canonical, side, side).disparity[0].clamp(min=1e-3)
    return float(depth[mask].median() / views.depth[taken][mask].median())


def taken_view(seen_by: Camera, views: ObjectViews) -> int:
    """Which of an object's views the camera (1,) of the input took."""
    return int((views.camera.position - seen_by.position).norm(dim=-1).argmin())


def placed(model: TokenAutoencoder, seen_by: Camera, views: Camera, unit: float) -> Camera:
    """Cameras (V,) of an object's views in the world of such a scene; unit: see `unit_of`."""
    if model.uses_sight:
        return views
    relative = torch.linalg.inv(seen_by.cam2world) @ views.cam2world
    relative[:, :3, 3] *= unit
    return Camera(model.view.camera().cam2world @ relative, views.intrinsics)


def camera_at(camera: Camera, index: int) -> Camera:
    """One camera (1,) of several."""
    part = slice(index, index + 1)
    return Camera(camera.cam2world[part], camera.intrinsics[part])


def check_taken(root: str, seen_by: Camera, views: ObjectViews) -> None:
    """DataError if the camera (1,) of a photograph in shards is none of those of its object, as in
    shards of another frame."""
    apart = (views.camera.position - seen_by.position).norm(dim=-1).min()
    if apart > NEAR * seen_by.position.norm():
        raise DataError(
            f"{root} has a camera of {views.names[0]} and its other views that is none of theirs: "
            "write attributes and shards again, into other folders."
        )


def angles(seen_by: Camera, views: Camera) -> Tensor:
    """Degrees (V,) between the camera (1,) of the input and others (V,), from the object's
    middle."""
    directions = torch.nn.functional.normalize(views.position, dim=-1)
    towards = torch.nn.functional.normalize(seen_by.position, dim=-1)
    return torch.rad2deg(torch.acos((directions @ towards[0]).clamp(-1, 1)))
