"""Convolutional discriminators with the residual layout of StyleGAN2."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.equalized import (
    ACTIVATION_GAIN,
    SLOPE,
    EqualizedConv,
    EqualizedLinear,
    leaky_relu,
)
from models.blocks.resample import downsample

RESIDUAL_GAIN = math.sqrt(0.5)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a halving, with a 1x1 skip, (B, C, H, W) -> (B, C', H/2, W/2).

    The gains of the activations and of the sum are those of the convolutions before them.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualizedConv(inputs, inputs, 3, gain=ACTIVATION_GAIN)
        self.second = EqualizedConv(inputs, outputs, 3, gain=ACTIVATION_GAIN * RESIDUAL_GAIN)
        self.skip = EqualizedConv(inputs, outputs, 1, bias=False, gain=RESIDUAL_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution."""
        y = F.leaky_relu(self.first(x), SLOPE)
        y = F.leaky_relu(self.second(downsample(y)), SLOPE)
        return y + self.skip(downsample(x))


def group_size(batch: int) -> int:
    """Images that `minibatch_stddev` compares in a batch: four, or all where fours do not divide
    it."""
    return 4 if batch % 4 == 0 else batch


def minibatch_stddev(x: Tensor, members: int | None = None) -> Tensor:
    """Append a channel with the spread of features over groups of images.

    (B, C, H, W) -> (B, C + 1, H, W); arXiv 1710.10196, section 3. Computed in float32.

    members: size of the groups, which lie B / members apart; `group_size` of B by default.
    """
    batch, channels, height, width = x.shape
    members = group_size(batch) if members is None else members
    grouped = x.float().reshape(members, -1, channels, height, width)
    variance = (grouped - grouped.mean(0)).square().mean(0)  # faster than `var` on CPU
    spread = (variance + 1e-8).sqrt().mean((1, 2, 3))  # (B / members,)
    plane = spread.repeat(members)[:, None, None, None].expand(batch, 1, height, width)
    return torch.cat([x, plane.to(x.dtype)], 1)


class Discriminator(nn.Module):
    """Residual StyleGAN2 discriminator, (B, C, H, W) in [-1, 1] -> logits (B,).

    Args:
        inputs: image channels (3 for RGB, 4 with disparity).
        resolution: side of the square input, a power of two >= 8.
        channel_base: channels times resolution, as in StyleGAN2, whose full size is 32768.
        channel_max: upper limit of channels.
        classes: number of classes, 0 for none; images are scored as of their class, too, by
            projection (arXiv 1802.05637, equation 4).
    """

    def __init__(
        self,
        inputs: int,
        resolution: int,
        channel_base: int = 4096,
        channel_max: int = 256,
        classes: int = 0,
    ) -> None:
        super().__init__()
        if resolution < 8 or resolution & (resolution - 1):
            raise ValueError(
                f"Discriminator resolution {resolution} is not a power of two >= 8: change "
                "`rays.patch` or `rays.grid_stride` in stage 1, `model.generator.resolution` of a "
                "GAN."
            )
        if channel_base < resolution:
            raise ValueError(
                f"Discriminator channel_base {channel_base} leaves no channel at resolution "
                f"{resolution}: raise `channel_base`."
            )
        sides = [resolution >> i for i in range(int(math.log2(resolution)) - 1)]  # resolution .. 4
        widths = [min(channel_max, channel_base // side) for side in sides]
        self.from_image = EqualizedConv(inputs, widths[0], 1, gain=ACTIVATION_GAIN)
        self.blocks = nn.ModuleList(map(ResidualBlock, widths, widths[1:]))
        self.last = EqualizedConv(widths[-1] + 1, widths[-1], 3, gain=ACTIVATION_GAIN)
        self.hidden = EqualizedLinear(widths[-1] * 16, widths[-1])
        self.logit = EqualizedLinear(widths[-1], 1)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None

    def features(self, images: Tensor, members: int | None = None) -> Tensor:
        """What the score is made of, (B, F); members: see `minibatch_stddev`."""
        # The layout that all layers keep and in which they are fast.
        images = images.contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.from_image(images), SLOPE)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.last(minibatch_stddev(x, members)), SLOPE)
        return leaky_relu(self.hidden(x.flatten(1)))

    def forward(
        self, images: Tensor, labels: Tensor | None = None, members: int | None = None
    ) -> Tensor:
        """Score images of labels (B,) int64, which discriminators with classes need; high means
        real. members: see `minibatch_stddev`."""
        features = self.features(images, members)
        logits = self.logit(features)[:, 0].float()
        if self.embedding is None:
            return logits
        assert labels is not None
        likeness = (self.embedding(labels) * features.float()).sum(1)
        return logits + likeness / math.sqrt(features.shape[1])
