"""Convolutional discriminators with the residual layout of StyleGAN2."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.resample import downsample

RESIDUAL_GAIN = math.sqrt(0.5)
ACTIVATION_GAIN = math.sqrt(2.0)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled to keep the mean square of a symmetric input within 4 %."""
    return F.leaky_relu(x, 0.2) * ACTIVATION_GAIN


class EqualizedConv(nn.Module):
    """Convolution whose unit-variance weights are scaled at run time (arXiv 1710.10196, 4.1)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W), same size out."""
        return F.conv2d(x, self.weight * self.gain, self.bias, padding=self.padding)


class EqualizedLinear(nn.Module):
    """Linear layer with the same run-time scaling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C) to (B, C')."""
        return F.linear(x, self.weight * self.gain, self.bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a halving, with a 1x1 skip, (B, C, H, W) -> (B, C', H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualizedConv(inputs, inputs, 3)
        self.second = EqualizedConv(inputs, outputs, 3)
        self.skip = EqualizedConv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution."""
        y = leaky_relu(self.second(downsample(leaky_relu(self.first(x)))))
        return (y + self.skip(downsample(x))) * RESIDUAL_GAIN


def minibatch_stddev(x: Tensor, group: int = 4) -> Tensor:
    """Append a channel with the spread of features over groups of images.

    (B, C, H, W) -> (B, C + 1, H, W); arXiv 1710.10196, section 3. A batch that groups of `group`
    do not divide is one group. Computed in float32.
    """
    batch, channels, height, width = x.shape
    members = group if batch % group == 0 else batch
    grouped = x.float().reshape(members, -1, channels, height, width)
    spread = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # (B / members,)
    plane = spread.repeat(members)[:, None, None, None].expand(batch, 1, height, width)
    return torch.cat([x, plane.to(x.dtype)], 1)


class Discriminator(nn.Module):
    """Residual StyleGAN2 discriminator, (B, C, H, W) in [-1, 1] -> logits (B,).

    Args:
        inputs: image channels (3 for RGB, 4 with disparity).
        resolution: side of the square input, a power of two >= 8.
        channel_base: channels times resolution, as in StyleGAN2, whose full size is 32768.
        channel_max: upper limit of channels.
    """

    def __init__(
        self, inputs: int, resolution: int, channel_base: int = 4096, channel_max: int = 256
    ) -> None:
        super().__init__()
        if resolution < 8 or resolution & (resolution - 1):
            raise ValueError(
                f"Discriminator resolution {resolution} is not a power of two >= 8: "
                "change `rays.patch` or `rays.grid_stride`."
            )
        if channel_base < resolution:
            raise ValueError(
                f"Discriminator channel_base {channel_base} leaves no channel at resolution "
                f"{resolution}: raise `channel_base`."
            )
        sides = [resolution >> i for i in range(int(math.log2(resolution)) - 1)]  # resolution .. 4
        widths = [min(channel_max, channel_base // side) for side in sides]
        self.from_image = EqualizedConv(inputs, widths[0], 1)
        self.blocks = nn.ModuleList(map(ResidualBlock, widths, widths[1:]))
        self.last = EqualizedConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = EqualizedLinear(widths[-1] * 16, widths[-1])
        self.logit = EqualizedLinear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Score images; high means real."""
        x = leaky_relu(self.from_image(images))
        for block in self.blocks:
            x = block(x)
        x = leaky_relu(self.last(minibatch_stddev(x)))
        return self.logit(leaky_relu(self.hidden(x.flatten(1))))[:, 0].float()
