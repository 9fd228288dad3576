"""Cameras of the known views of an object, beside the one that took the input."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.known_views import ObjectViews
from datamodules.errors import DataError
from models.autoencoder import TokenAutoencoder
from renderers.cameras import Camera

NEAR = 1e-3
"""Of its distance to the object, by which the position of a camera may differ as it is stored."""


def placed(model: TokenAutoencoder, seen_by: Camera, views: Camera) -> tuple[Camera, float]:
    """Cameras (V,) of an object's views in the world of a scene reconstructed from a photograph
    that `seen_by` (1,) took, and that world's unit over the object's."""
    if model.uses_sight:
        return views, 1.0
    canonical = model.view.camera()
    scale = model.view.radius / float(seen_by.position.norm())
    relative = torch.linalg.inv(seen_by.cam2world) @ views.cam2world
    relative[:, :3, 3] *= scale
    return Camera(canonical.cam2world @ relative, views.intrinsics), scale


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
