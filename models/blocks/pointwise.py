"""Scale, bias and leaky ReLU of an image in one pass over memory."""

from math import gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from renderers.cpu.openmp import launch
from renderers.dispatch import fast_path, kernels

KERNELS = "models.blocks.cpu.pointwise_kernel"

LARGEST_BLOCK = 32
"""Channels that a kernel holds at once."""
PIXELS = 2048
"""Pixels of a unit of work, at most."""


def affine_leaky(x: Tensor, scale: Tensor, bias: Tensor | None, slope: float) -> Tensor:
    """Return leaky_relu(x * scale + bias), in the type of x; arithmetic is float32 on CPU.

    Derivatives of any order exist.

    Args:
        x: (B, C, H, W).
        scale: (B, C), the factor of each image's channels.
        bias: (C,) or None for zero.
        slope: of the leaky ReLU below zero; 1 for none.
    """
    if fast_path(x):
        offset = torch.zeros_like(scale[0]) if bias is None else bias
        return _Affine.apply(x, scale.float(), offset.float(), slope)
    return _plain(x, scale.to(x.dtype), None if bias is None else bias.to(x.dtype), slope)


def _plain(x: Tensor, scale: Tensor, bias: Tensor | None, slope: float) -> Tensor:
    scale = scale[:, :, None, None]
    y = x * scale if bias is None else torch.addcmul(bias[:, None, None], x, scale)
    return y if slope == 1.0 else F.leaky_relu(y, slope)


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, bias: Tensor, slope: float) -> Tensor:
        pixels = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
        scale, bias = scale.contiguous(), bias.contiguous()
        ctx.save_for_backward(x, scale, bias)
        ctx.slope, out = slope, torch.empty_like(pixels)
        block, parts = gcd(pixels.shape[3], LARGEST_BLOCK), _parts(pixels)
        kernel = kernels(KERNELS).affine_kernel(block, pixels.itemsize)
        slope_value = torch.tensor(slope)
        tensors = (pixels, out, scale, bias, slope_value)
        launch(kernel, len(x) * parts, *_sizes(pixels), *(t.data_ptr() for t in tensors))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, bias = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return *_backward(x, scale, bias, ctx.slope, grad), None
        factor = scale[:, :, None, None]
        rising = torch.addcmul(bias[:, None, None], x, factor) >= 0
        grad = grad * torch.where(rising, 1.0, ctx.slope)
        d_x = (grad * factor).to(x.dtype)
        return d_x, (grad * x).sum((2, 3), dtype=scale.dtype), grad.sum((0, 2, 3)), None


def _backward(
    x: Tensor, scale: Tensor, bias: Tensor, slope: float, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, scale and bias."""
    pixels, grads = (t.permute(0, 2, 3, 1).contiguous() for t in (x, grad))
    channels, parts, d_x = pixels.shape[3], _parts(pixels), torch.empty_like(pixels)
    sums = scale.new_zeros(len(x), parts, 2, channels)
    kernel = kernels(KERNELS).affine_backward_kernel(gcd(channels, LARGEST_BLOCK), pixels.itemsize)
    slope_value = torch.tensor(slope)
    tensors = (pixels, d_x, scale, bias, slope_value, grads, sums)
    launch(kernel, len(x) * parts, *_sizes(pixels), *(t.data_ptr() for t in tensors))
    d_scale, d_bias = sums.sum(1).unbind(1)  # (B, C) each
    return d_x.permute(0, 3, 1, 2), d_scale, d_bias.sum(0)


def _parts(pixels: Tensor) -> int:
    """Into how many equal parts the pixels (B, H, W, C) of an image are cut."""
    count = pixels.shape[1] * pixels.shape[2]
    return count // gcd(count, PIXELS)


def _sizes(pixels: Tensor) -> tuple[int, int, int]:
    """Pixels of a unit, units of an image and channels, as the kernels take them."""
    _, height, width, channels = pixels.shape
    return gcd(height * width, PIXELS), _parts(pixels), channels
