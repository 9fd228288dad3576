"""Transposed convolution of stride 2, then the binomial filter (arXiv 1912.04958, appendix B).

On CPU it is a matrix product that gives every pixel's nine contributions, 9C' numbers, and one pass
that adds and filters them: the multiplications of the small image only, all at the rate of a
matrix product, and no image between the two steps.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks.cpu.separable import Taps, filter_separably
from models.blocks.resample import BINOMIAL, binomial_kernel
from renderers.dispatch import fast_path

KERNEL = 3
PIXELS = 4096
"""Pixels of one matrix product, at least an image: enough to multiply at full rate."""


def upconvolve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with stride 1/2 and blur, (B, C, H, W) by (C', C, 3, 3) -> (B, C', 2H, 2W).

    Equal to `F.conv_transpose2d` of stride 2 (weight as (C, C', 3, 3)) and the filter of taps
    [1, 3, 3, 1] / 4 a side, zero padding. Autocasts as a convolution. Derivatives of any order
    exist.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    if not fast_path(x):
        spread = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # (B, C', 2H + 1, 2W + 1)
        blur = 4 * binomial_kernel(spread.shape[1], spread)
        return F.conv2d(spread, blur, padding=1, groups=spread.shape[1])
    outputs, inputs = weight.shape[:2]
    matrix = weight.permute(1, 2, 3, 0).reshape(inputs, KERNEL**2 * outputs)  # C, 9C'
    out: Tensor = _SpreadProduct.apply(x.permute(0, 2, 3, 1).contiguous(), matrix)
    return out.permute(0, 3, 1, 2)


class _SpreadProduct(torch.autograd.Function):
    """S(x M): x (B, H, W, C), M (C, 9C') -> (B, 2H, 2W, C'), S being the sum of contributions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(x, matrix)
        batch, height, width, _ = x.shape
        out = x.new_empty(batch, 2 * height, 2 * width, matrix.shape[1] // KERNEL**2)
        for part in _parts(x):
            _spread((x[part].flatten(0, 2) @ matrix).view(*x[part].shape[:3], -1), out[part])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, matrix = ctx.saved_tensors
        if torch.is_grad_enabled():
            gathered = _Gather.apply(grad).flatten(0, 2)  # (N, 9C')
            return (gathered @ matrix.T).view_as(x), x.flatten(0, 2).T @ gathered
        to_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        to_matrix = torch.zeros_like(matrix) if ctx.needs_input_grad[1] else None
        for part in _parts(x):
            gathered = _gather(grad[part].contiguous()).flatten(0, 2)
            if to_x is not None:
                torch.mm(gathered, matrix.T, out=to_x[part].flatten(0, 2))
            if to_matrix is not None:
                to_matrix.addmm_(x[part].flatten(0, 2).T, gathered)
        return to_x, to_matrix


class _Gather(torch.autograd.Function):
    """The transpose of S: (B, 2H, 2W, C') -> (B, H, W, 9C')."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor) -> Tensor:
        return _gather(grad.contiguous())

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> Tensor:
        return _Spread.apply(direction)


class _Spread(torch.autograd.Function):
    """S itself: (B, H, W, 9C') -> (B, 2H, 2W, C')."""

    @staticmethod
    def forward(ctx: Any, parts: Tensor) -> Tensor:
        batch, height, width, channels = parts.shape
        out = parts.new_empty(batch, 2 * height, 2 * width, channels // KERNEL**2)
        _spread(parts.contiguous(), out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Gather.apply(grad)


def _parts(x: Tensor) -> list[slice]:
    """Cut a batch of images into slices of about `PIXELS` pixels."""
    images = max(1, PIXELS // (x.shape[1] * x.shape[2]))
    return [slice(first, first + images) for first in range(0, len(x), images)]


def _spread(parts: Tensor, out: Tensor) -> None:
    """Add and filter the contributions (B, H, W, 9C') into out (B, 2H, 2W, C')."""
    _, height, width, channels = out.shape
    taps = _spread_taps(height, width, channels)
    filter_separably(parts.unflatten(3, (KERNEL**2, channels)), out, *taps)


def _gather(grad: Tensor) -> Tensor:
    """Return the transpose of `_spread` for grad (B, 2H, 2W, C'): (B, H, W, 9C')."""
    batch, height, width, channels = grad.shape
    out = grad.new_empty(batch, height // 2, width // 2, KERNEL**2, channels)
    filter_separably(grad, out, *_gather_taps(height // 2, width // 2, channels))
    return out.flatten(3)


@lru_cache(maxsize=64)
def _spread_taps(height: int, width: int, channels: int) -> tuple[Taps, Taps]:
    """The maps along rows and columns of contributions to a result of this size."""
    row = width // 2 * KERNEL**2 * channels
    return (
        _spread_axis(height, row, KERNEL * channels).strided(1, width * channels),
        _spread_axis(width, KERNEL**2 * channels, channels).strided(1, channels),
    )


def _spread_axis(size: int, pixel: int, tap: int) -> Taps:
    """Six taps of `size` results: contribution k of input i lies at i pixel + k tap."""
    # The transposed convolution puts contribution k of input i at t = 2i + k; result j takes
    # t = j - 1 .. j + 2. An even t has two contributions, an odd one has one: six terms in all.
    table = np.zeros((size, 6), np.int64)
    inputs, weights = np.zeros_like(table), np.zeros(table.shape)
    for j in range(size):
        terms = [
            ((t - k) // 2, k, BINOMIAL[t - j + 1] / 4)
            for t in range(j - 1, j + 3)
            for k in range(KERNEL)
            if (t - k) % 2 == 0
        ]
        inputs[j], table[j], weights[j] = zip(*terms, strict=True)
    taps = Taps.of(inputs, weights, size // 2)
    return Taps(taps.sources * pixel + table * tap, taps.weights, taps.places)


@lru_cache(maxsize=64)
def _gather_taps(height: int, width: int, channels: int) -> tuple[Taps, Taps]:
    """The maps along rows and columns of an image twice this size to contributions."""
    row = width * KERNEL**2 * channels
    return (
        _gather_axis(height, 2 * width * channels, row, KERNEL * channels),
        _gather_axis(width, channels, KERNEL**2 * channels, channels),
    )


def _gather_axis(size: int, source: int, pixel: int, tap: int) -> Taps:
    """Four taps of the contributions of `size` pixels, which reach results 2i + k - 2 .. + 1."""
    i, k = (a.flatten() for a in np.meshgrid(np.arange(size), np.arange(KERNEL), indexing="ij"))
    sources = (2 * i + k - 2)[:, None] + np.arange(4)
    taps = Taps.of(sources, np.array(BINOMIAL)[::-1] / 4, 2 * size)
    return Taps(taps.sources * source, taps.weights, i * pixel + k * tap)
