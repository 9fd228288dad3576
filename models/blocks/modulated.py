"""Convolutions that a style scales, as in StyleGAN2 (arXiv 1912.04958, section 2.2).

The paper scales and normalises the weights of every image. Convolution is linear, so scaling the
input's channels by the style and the output's by the norm is the same, with one kernel for the
whole batch.
"""

import math

import torch
from torch import Tensor, nn

from models.blocks.cpu.convolution import convolve
from models.blocks.equalized import ACTIVATION_GAIN, SLOPE, EqualizedLinear
from models.blocks.pointwise import affine_leaky
from models.blocks.upconvolution import KERNEL, upconvolve

EPSILON = 1e-8
"""Added to the squared norm of an output channel's weights."""


class ModulatedConv(nn.Module):
    """Modulated convolution, bias and scaled leaky ReLU.

    Args:
        inputs: channels of the input.
        outputs: channels of the result.
        kernel: side of the kernel, odd; 3 with `up`.
        width: size of the latent w.
        up: whether to double the resolution, by `upconvolve`.
        demodulate: whether to divide by the norm of the scaled weights (the paper's equation 3).

    Raises ValueError for an even kernel, or another than 3 with `up`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        width: int,
        *,
        up: bool = False,
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"A kernel of side {kernel} has no centre: make `kernel` odd.")
        if up and kernel != KERNEL:
            raise ValueError(f"Doubling takes a kernel of side 3, not {kernel}: change `kernel`.")
        self.style = EqualizedLinear(width, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.up, self.demodulate = up, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Convolve (B, C, H, W) under w (B, W): (B, C', H, W), or twice that size with `up`."""
        scale, norm = self.scales(w)
        x = affine_leaky(x, scale, None, 1.0)
        y = upconvolve(x, self.weight) if self.up else convolve(x, self.weight)
        # The activation's gain goes before it: a(g x) = g a(x).
        return affine_leaky(y, norm * ACTIVATION_GAIN, self.bias * ACTIVATION_GAIN, SLOPE)

    def scales(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of the input's and of the output's channels, (B, C) and (B, C').

        They have the type of the weights, also under autocast. The run-time gain of the
        convolution's weights is part of the first.
        """
        with torch.autocast(w.device.type, enabled=False):
            scale = self.style(w.to(self.weight.dtype)) * self.gain
            if not self.demodulate:
                return scale, scale.new_ones(len(w), len(self.weight))
            power = self.weight.square().sum((2, 3))  # (C', C)
            return scale, torch.rsqrt(scale.square() @ power.T + EPSILON)


class ModulatedProjection(nn.Module):
    """Modulated 1x1 convolution with a bias, without demodulation: a block's output layer.

    Being a matrix product an image, it takes each image's own scaled weights.

    Args:
        inputs: channels of the input.
        outputs: channels of the result.
        width: size of the latent w.
        zero: whether the layer starts at zero.
    """

    def __init__(self, inputs: int, outputs: int, width: int, *, zero: bool = False) -> None:
        super().__init__()
        self.style = EqualizedLinear(width, inputs, bias=1.0)
        start = torch.zeros if zero else torch.randn
        self.weight = nn.Parameter(start(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (B, C, H, W) under w (B, W) to (B, C', H, W), channels-last."""
        with torch.autocast(w.device.type, enabled=False):
            scale = self.style(w.to(self.weight.dtype)) * self.gain  # (B, C)
            weights = scale[:, :, None] * self.weight.T  # (B, C, C')
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H W, C)
        y = torch.baddbmm(self.bias, pixels, weights.to(x.dtype))
        return y.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
