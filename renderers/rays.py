"""Rays through pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from renderers.cameras import Camera, transform
from renderers.pixels import pixel_centres


@dataclass(frozen=True)
class Rays:
    """Half-lines in the world. origins: (B, R, 3); directions: (B, R, 3), unit length."""

    origins: Tensor
    directions: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Rays:
        """Copy to `device`."""
        return Rays(
            self.origins.to(device, non_blocking=non_blocking),
            self.directions.to(device, non_blocking=non_blocking),
        )

    def at(self, distance: Tensor) -> Tensor:
        """Return the points (B, R, S, 3) at `distance` (B, R, S) along the rays."""
        return self.origins.unsqueeze(-2) + distance.unsqueeze(-1) * self.directions.unsqueeze(-2)

    def slice(self, start: int, stop: int) -> Rays:
        """Return the rays start..stop of every batch element."""
        return Rays(self.origins[:, start:stop], self.directions[:, start:stop])


def rays_at(camera: Camera, pixels: Tensor) -> Rays:
    """Return the rays of cameras (B,) through `pixels` (B, R, 2), x and y in [0, 1]."""
    matrix = camera.intrinsics
    y = (pixels[..., 1] - matrix[:, 1, 2, None]) / matrix[:, 1, 1, None]
    x = (pixels[..., 0] - matrix[:, 0, 2, None] - matrix[:, 0, 1, None] * y) / matrix[:, 0, 0, None]
    local = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    directions = normalize(transform(camera.cam2world[:, None, :3, :3], local), dim=-1)
    return Rays(camera.position.unsqueeze(1).expand_as(directions), directions)


def camera_rays(camera: Camera, height: int, width: int) -> Rays:
    """Return the rays through all pixel centres, row by row: R = height * width."""
    pixels = pixel_centres(height, width, camera.cam2world.device)
    return rays_at(camera, pixels.expand(camera.cam2world.shape[0], -1, -1))


def rays_to_image(values: Tensor, height: int, width: int) -> Tensor:
    """Fold values per ray (B, height * width, C), row by row, into (B, C, height, width)."""
    return values.transpose(1, 2).unflatten(2, (height, width))
