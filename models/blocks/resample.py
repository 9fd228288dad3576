"""Anti-aliased up- and down-sampling with a binomial filter."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks.cpu.separable import Taps, filter_separably
from renderers.dispatch import fast_path

BINOMIAL = (1.0, 3.0, 3.0, 1.0)
"""The separable filter [1, 3, 3, 1] of StyleGAN2 (arXiv 1912.04958)."""


def binomial_kernel(channels: int, like: Tensor) -> Tensor:
    """Depthwise kernel (C, 1, 4, 4) that sums to one, in the dtype and on the device of `like`."""
    # BINOMIAL, counted on the device: a copy to it makes the host wait.
    taps = 4 - (2 * torch.arange(4, device=like.device, dtype=torch.float32) - 3).abs()
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    return kernel.to(like.dtype).expand(channels, 1, 4, 4)


def downsample(x: Tensor) -> Tensor:
    """Blur and halve, (B, C, H, W) -> (B, C, H/2, W/2); zero padding, H and W even."""
    if fast_path(x):
        return _Filter.apply(x, False, 1.0)
    return F.conv2d(x, binomial_kernel(x.shape[1], x), stride=2, padding=1, groups=x.shape[1])


def upsample(x: Tensor) -> Tensor:
    """Insert zeros and blur with gain 4, (B, C, H, W) -> (B, C, 2H, 2W); zero padding."""
    if fast_path(x):
        return _Filter.apply(x, True, 4.0)
    kernel = 4 * binomial_kernel(x.shape[1], x)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class _Filter(torch.autograd.Function):
    """`gain` times `downsample`, or (`up`) times its transpose, which is `upsample` / 4."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, up: bool, gain: float) -> Tensor:
        ctx.up, ctx.gain = up, gain
        pixels = x.permute(0, 2, 3, 1).contiguous()
        batch, height, width, channels = pixels.shape
        size = (2 * height, 2 * width) if up else (height // 2, width // 2)
        out = pixels.new_empty(batch, *size, channels)
        filter_separably(pixels, out, *_taps(*size, channels, up, gain))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return _Filter.apply(grad, not ctx.up, ctx.gain), None, None


@lru_cache(maxsize=64)
def _taps(height: int, width: int, channels: int, up: bool, gain: float) -> tuple[Taps, Taps]:
    """The maps along rows and columns to a result of this size."""
    rows, columns = (_axis(size, up, gain**0.5) for size in (height, width))
    source_width = width // 2 if up else 2 * width
    return (
        rows.strided(source_width * channels, width * channels),
        columns.strided(channels, channels),
    )


def _axis(size: int, up: bool, gain: float) -> Taps:
    """Taps of `size` results along an axis."""
    place, taps = np.arange(size)[:, None], np.array(BINOMIAL) * gain / sum(BINOMIAL)
    if not up:
        return Taps.of(2 * place - 1 + np.arange(4), taps, 2 * size)
    # An even result 2i takes i - 1 and i by taps 3 and 1, an odd one i and i + 1 by 2 and 0.
    odd = place % 2
    return Taps.of(
        place // 2 - 1 + odd + np.arange(2),
        taps[[3, 1]] * (1 - odd) + taps[[2, 0]] * odd,
        size // 2,
    )
