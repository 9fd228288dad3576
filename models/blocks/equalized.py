"""Layers whose weights have one size and are scaled at run time, and the activation they assume."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.cpu.convolution import convolve

SLOPE = 0.2
"""Slope of the leaky ReLU below zero."""
ACTIVATION_GAIN = math.sqrt(2.0)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled to keep the mean square of a symmetric input within 4 %."""
    return F.leaky_relu(x, SLOPE) * ACTIVATION_GAIN


class EqualizedConv(nn.Module):
    """Convolution whose unit-variance weights are scaled at run time (arXiv 1710.10196, 4.1).

    Args:
        inputs: channels of the input.
        outputs: channels of the result.
        kernel: side of the kernel, odd.
        bias: whether to add one.
        gain: factor of the result. A leaky ReLU's gain can be given here, a(g x) = g a(x), which
            saves a pass over its result.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, bias: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = gain
        self.weight_gain = gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W), same size out."""
        bias = None if self.bias is None else self.bias * self.gain
        return convolve(x, self.weight * self.weight_gain, bias)


class EqualizedLinear(nn.Module):
    """Linear layer with the same run-time scaling.

    Args:
        inputs: size of the input.
        outputs: size of the result.
        lr_multiplier: by how much slower than other layers it learns (arXiv 1812.04948, appendix
            C): weights and bias are stored that much larger and scaled down at run time.
        bias: initial value of the bias.
    """

    def __init__(
        self, inputs: int, outputs: int, lr_multiplier: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C) to (B, C')."""
        return F.linear(x, self.weight * self.gain, self.bias * self.bias_gain)
