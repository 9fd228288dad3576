"""Rays through pixels, and the pixels that losses look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from renderers.cameras import Camera, transform


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


def _to_pixels(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Cartesian product of rows (B, h) and columns (B, w) as pixel centres (B, h * w, 2)."""
    y = ((rows + 0.5) / height).unsqueeze(2).expand(-1, -1, columns.shape[1])
    x = ((columns + 0.5) / width).unsqueeze(1).expand(-1, rows.shape[1], -1)
    return torch.stack([x, y], dim=-1).flatten(1, 2)


def pixel_centres(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return all pixel centres (1, height * width, 2), row by row."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return _to_pixels(rows[None], columns[None], height, width)


def strided_pixels(height: int, width: int, stride: int, offset: Tensor) -> Tensor:
    """Return every `stride`-th pixel centre (B, R, 2), row by row, R = (height // stride) * (width
    // stride).

    offset: (B, 2) integers in [0, stride), row and column of the first pixel. Raises ValueError
    when the stride does not divide the image, since rows of differing length could not be batched.
    """
    if height % stride or width % stride:
        raise ValueError(f"stride {stride} must divide the image size {height} x {width}")
    rows = offset[:, :1] + torch.arange(0, height, stride, device=offset.device)
    columns = offset[:, 1:] + torch.arange(0, width, stride, device=offset.device)
    return _to_pixels(rows, columns, height, width)


def random_offsets(batch: int, stride: int, rng: torch.Generator) -> Tensor:
    """Draw one offset per image for `strided_pixels`, (batch, 2) int64."""
    return torch.randint(stride, (batch, 2), generator=rng, device=rng.device)


def patch_pixels(height: int, width: int, size: int, corner: Tensor) -> Tensor:
    """Return the pixel centres (B, size * size, 2) of one square patch an image, row by row.

    corner: (B, 2) integers, row and column of the upper left pixel. Raises ValueError when the
    patch exceeds the image.
    """
    if size > min(height, width):
        raise ValueError(f"patch size {size} exceeds the image size {height} x {width}")
    steps = torch.arange(size, device=corner.device)
    return _to_pixels(corner[:, :1] + steps, corner[:, 1:] + steps, height, width)


def random_corners(batch: int, height: int, width: int, size: int, rng: torch.Generator) -> Tensor:
    """Draw a corner per image for `patch_pixels`, (batch, 2) int64, all equally likely."""
    rows = torch.randint(height - size + 1, (batch,), generator=rng, device=rng.device)
    columns = torch.randint(width - size + 1, (batch,), generator=rng, device=rng.device)
    return torch.stack([rows, columns], dim=1)


def sample_image(image: Tensor, pixels: Tensor) -> Tensor:
    """Sample a float image (B, C, H, W) bilinearly at `pixels` (B, R, 2); return (B, R, C), as
    `Rendering.rgb`.

    At pixel centres this is the pixel itself; outside the image, the nearest border value.
    """
    grid = (2.0 * pixels - 1.0).to(image.dtype).unsqueeze(1)
    sampled = grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.squeeze(2).transpose(1, 2)


def gather_image(image: Tensor, pixels: Tensor) -> Tensor:
    """Take the pixels of an image (B, C, H, W) of any type that hold `pixels` (B, R, 2); return (B,
    R, C), exact.

    Use it for labels and masks, which must not be interpolated.
    """
    height, width = image.shape[-2:]
    column = (pixels[..., 0] * width).long().clamp(0, width - 1)
    row = (pixels[..., 1] * height).long().clamp(0, height - 1)
    batch = torch.arange(image.shape[0], device=image.device).unsqueeze(1)
    return image.permute(0, 2, 3, 1)[batch, row, column]


def rays_to_image(values: Tensor, height: int, width: int) -> Tensor:
    """Fold values per ray (B, height * width, C), row by row, into (B, C, height, width)."""
    return values.transpose(1, 2).unflatten(2, (height, width))
