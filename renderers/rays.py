"""Rays through pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from renderers.cameras import Camera, transform
from renderers.pixels import pixel_centres, sample_image


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
    """Return the rays of cameras (B,) through `pixels` (B, R, 2), x and y in [0, 1].

    >>> from renderers.cameras import orbit_camera
    >>> camera = orbit_camera(torch.zeros(1), 0.0, radius=2.0, fov_degrees=90.0)
    >>> rays = rays_at(camera, torch.tensor([[[0.5, 0.5], [1.0, 0.5]]]))  # centre, right border
    >>> rays.at(torch.tensor([[[2.0], [2.0]]])).squeeze()
    tensor([[0.0000, 0.0000, 0.0000],
            [1.4142, 0.0000, 0.5858]])
    """
    matrix = camera.intrinsics
    y = (pixels[..., 1] - matrix[:, 1, 2, None]) / matrix[:, 1, 1, None]
    x = (pixels[..., 0] - matrix[:, 0, 2, None] - matrix[:, 0, 1, None] * y) / matrix[:, 0, 0, None]
    local = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    directions = normalize(transform(camera.cam2world[:, None, :3, :3], local), dim=-1)
    return Rays(camera.position.unsqueeze(1).expand_as(directions), directions)


def camera_rays(camera: Camera, height: int, width: int) -> Rays:
    """Return the rays through all pixel centres, row by row: R = height * width.

    >>> from renderers.cameras import orbit_camera
    >>> rays = camera_rays(orbit_camera(torch.zeros(2), 0.0, 2.0, 90.0), height=4, width=6)
    >>> rays.directions.shape, rays.origins[0, 0].tolist()
    (torch.Size([2, 24, 3]), [0.0, 0.0, 2.0])
    """
    pixels = pixel_centres(height, width, camera.cam2world.device)
    return rays_at(camera, pixels.expand(camera.cam2world.shape[0], -1, -1))


def rays_to_image(values: Tensor, height: int, width: int) -> Tensor:
    """Fold values per ray (B, height * width, C), row by row, into (B, C, height, width).

    >>> rays_to_image(torch.arange(6).view(1, 6, 1), height=2, width=3).tolist()
    [[[[0, 1, 2], [3, 4, 5]]]]
    """
    return values.transpose(1, 2).unflatten(2, (height, width))


def resampled_rays(rays: Rays, side: int, pixels: Tensor) -> Rays:
    """Return the rays through `pixels` (B, R, 2), x and y in [0, 1], of images of which those
    through all side x side pixel centres are known; beyond these, the nearest."""
    origins, directions = (
        sample_image(rays_to_image(part, side, side), pixels)
        for part in (rays.origins, rays.directions)
    )
    return Rays(origins, normalize(directions, dim=-1))
