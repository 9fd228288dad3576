"""Pixels that losses look at: their centres in [0, 1], and what images hold there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def _to_pixels(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Cartesian product of rows (B, h) and columns (B, w) as pixel centres (B, h * w, 2)."""
    y = ((rows + 0.5) / height).unsqueeze(2).expand(-1, -1, columns.shape[1])
    x = ((columns + 0.5) / width).unsqueeze(1).expand(-1, rows.shape[1], -1)
    return torch.stack([x, y], dim=-1).flatten(1, 2)


def pixel_centres(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return all pixel centres (1, height * width, 2), row by row.

    >>> pixel_centres(1, 2).tolist()
    [[[0.25, 0.5], [0.75, 0.5]]]
    """
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return _to_pixels(rows[None], columns[None], height, width)


def strided_pixels(height: int, width: int, stride: int, offset: Tensor) -> Tensor:
    """Return every `stride`-th pixel centre (B, R, 2), row by row, R = (height // stride) * (width
    // stride).

    offset: (B, 2) integers in [0, stride), row and column of the first pixel. Raises ValueError
    when the stride does not divide the image, since rows of differing length could not be batched.

    >>> strided_pixels(4, 4, 2, torch.tensor([[1, 0]])).tolist()
    [[[0.125, 0.375], [0.625, 0.375], [0.125, 0.875], [0.625, 0.875]]]
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

    >>> patch_pixels(4, 4, 2, torch.tensor([[0, 2]])).tolist()
    [[[0.625, 0.125], [0.875, 0.125], [0.625, 0.375], [0.875, 0.375]]]
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

    >>> image = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> sample_image(image, torch.tensor([[[0.25, 0.25], [0.5, 0.5]]])).flatten().tolist()
    [0.0, 1.5]
    """
    grid = (2.0 * pixels - 1.0).to(image.dtype).unsqueeze(1)
    sampled = grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.squeeze(2).transpose(1, 2)


def gather_image(image: Tensor, pixels: Tensor) -> Tensor:
    """Take the pixels of an image (B, C, H, W) of any type that hold `pixels` (B, R, 2); return (B,
    R, C), exact.

    Use it for labels and masks, which must not be interpolated.

    >>> image = torch.tensor([[[[0, 1], [2, 3]]]])
    >>> gather_image(image, torch.tensor([[[0.25, 0.25], [0.51, 0.51]]])).flatten().tolist()
    [0, 3]
    """
    height, width = image.shape[-2:]
    column = (pixels[..., 0] * width).long().clamp(0, width - 1)
    row = (pixels[..., 1] * height).long().clamp(0, height - 1)
    batch = torch.arange(image.shape[0], device=image.device).unsqueeze(1)
    return image.permute(0, 2, 3, 1)[batch, row, column]
