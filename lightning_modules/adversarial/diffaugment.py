"""Differentiable augmentation of what a discriminator sees (DiffAugment, arXiv 2006.10738), and
blur.

Real and generated images are changed alike in distribution, so the discriminator does not overfit
to a small data set and the generator does not learn the changes. All channels of an image, e.g. its
small rendering, are changed by the same numbers.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Change = Literal["color", "translation", "cutout"]

SHIFT = 1 / 8
"""Largest translation, as a share of the side."""
HOLE = 1 / 2
"""Side of what is cut out, as a share of the side."""


def augment(
    images: Tensor,
    changes: Sequence[Change],
    rng: torch.Generator,
    colors: int = 3,
    probability: Tensor | float = 1.0,
) -> Tensor:
    """Images (B, C, H, W) in [-1, 1] with the changes named, one after the other.

    colors: how many channels, from the first, are RGB triples that `color` changes; probability:
    () of each change of each image, from 0 to 1.
    """
    for change in changes:
        if change == "color":
            changed = _change_color(images, rng, colors)
        elif change == "translation":
            changed = _translate(images, rng)
        else:
            changed = _cut_out(images, rng)
        images = torch.where(_uniform(images, rng) < probability, changed, images)
    return images


def _uniform(images: Tensor, rng: torch.Generator) -> Tensor:
    """Numbers (B, 1, 1, 1) in [0, 1)."""
    drawn = torch.rand(len(images), 1, 1, 1, generator=rng, device=rng.device)
    return drawn.to(images.dtype)


def _change_color(images: Tensor, rng: torch.Generator, colors: int) -> Tensor:
    """Brightness by +-0.5, saturation by 0 to 2, contrast by 0.5 to 1.5.

    Saturation moves a pixel from its grey, contrast from the mean grey of its image, which are
    both brightened before; all three are one affine map of the pixel.
    """
    brightness, saturation, contrast = (_uniform(images, rng).unsqueeze(1) for _ in range(3))
    brightness, saturation, contrast = brightness - 0.5, 2 * saturation, contrast + 0.5
    rgb = images[:, :colors].unflatten(1, (-1, 3))  # (B, colors / 3, 3, H, W)
    grey = rgb.mean(2, keepdim=True)
    offset = brightness + (1 - contrast) * grey.mean((3, 4), keepdim=True)
    changed = (contrast * saturation) * rgb + (contrast * (1 - saturation) * grey + offset)
    return torch.cat([changed.flatten(1, 2), images[:, colors:]], 1)


def _integers(images: Tensor, low: int, high: int, rng: torch.Generator) -> Tensor:
    """Integers (B, 1) from low to high, both included."""
    shape = (len(images), 1)
    return torch.randint(low, high + 1, shape, generator=rng, device=rng.device)


def _translate(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift by up to an eighth of the side, zeros coming in."""
    height, width = images.shape[-2:]
    exact = images.to(torch.promote_types(images.dtype, torch.float32))
    y, x = _shifted(exact, height, rng), _shifted(exact, width, rng)
    grid = torch.stack([g.expand(-1, height, width) for g in (x[:, None, :], y[:, :, None])], -1)
    # The grid holds pixel centres, so the nearest pixel is the one shifted here, unchanged.
    moved = F.grid_sample(exact, grid, mode="nearest", align_corners=False)
    return moved.to(images.dtype)


def _shifted(images: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Where each of `side` pixels comes from (B, side), [-1, 1] being the image."""
    limit = round(side * SHIFT)
    source = torch.arange(side, device=images.device) + _integers(images, -limit, limit, rng)
    return ((2 * source + 1) / side - 1).to(images.dtype)


def _cut_out(images: Tensor, rng: torch.Generator) -> Tensor:
    """Put zeros into a square of half the side around a random point, as far as it is inside."""
    height, width = images.shape[-2:]
    rows, columns = _hole(images, height, rng), _hole(images, width, rng)
    kept = ~(rows[:, :, None] & columns[:, None, :])
    return images * kept.unsqueeze(1)


def _hole(images: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Which of `side` pixels lie in the hole (B, side)."""
    length = round(side * HOLE)
    start = _integers(images, -(length // 2), side - length // 2 - 1, rng)
    place = torch.arange(side, device=images.device)
    return (place >= start) & (place < start + length)
