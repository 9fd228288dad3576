"""The synthesis network of StyleGAN2 with skip outputs, here of feature planes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.blocks.modulated import ModulatedConv, ModulatedProjection
from models.blocks.resample import upsample

START = 4
"""Resolution of the learned constant."""


@dataclass(frozen=True)
class SynthesisSize:
    """Result and width of a synthesis network; the defaults are EG3D's (arXiv 2112.07945).

    Args:
        resolution: side of the result, a power of two >= 4.
        channels: of the result, for three planes of C channels 3 C.
        channel_base: channels times resolution.
        channel_max: upper limit of channels.

    Raises ValueError for a resolution or a number of channels outside these ranges.
    """

    resolution: int = 256
    channels: int = 96
    channel_base: int = 32768
    channel_max: int = 512

    def __post_init__(self) -> None:
        if self.resolution < START or self.resolution & (self.resolution - 1):
            raise ValueError(
                f"Synthesis resolution {self.resolution} is not a power of two >= {START}: "
                "change `planes.resolution`."
            )
        if self.channels < 1 or self.channel_max < 1:
            raise ValueError(
                f"Synthesis of {self.channels} channels through at most {self.channel_max} has "
                "none: raise `channels` and `channel_max` to 1."
            )
        if self.channel_base < self.resolution:
            raise ValueError(
                f"Synthesis channel_base {self.channel_base} leaves no channel at resolution "
                f"{self.resolution}: raise `channel_base`."
            )

    def widths(self) -> list[int]:
        """Channels at the resolutions 4, 8, .. `resolution`."""
        sides = [START << i for i in range((self.resolution // START).bit_length())]
        return [min(self.channel_max, self.channel_base // side) for side in sides]


class SynthesisBlock(nn.Module):
    """Two modulated 3x3 convolutions and an output layer that adds to the skip image.

    Args:
        inputs: channels of the input.
        outputs: channels of the result.
        channels: of the skip image.
        width: size of the latent w.
        up: whether the first convolution doubles the resolution.
    """

    def __init__(self, inputs: int, outputs: int, channels: int, width: int, *, up: bool) -> None:
        super().__init__()
        self.first = ModulatedConv(inputs, outputs, 3, width, up=up)
        self.second = ModulatedConv(outputs, outputs, 3, width)
        self.to_planes = ModulatedProjection(outputs, channels, width)
        self.up = up

    def forward(self, x: Tensor, planes: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, C, H, W) and planes (B, channels, H, W) on, both of one resolution."""
        x = self.second(self.first(x, w), w)
        return x, (upsample(planes) if self.up else planes) + self.to_planes(x, w)


class Synthesis(nn.Module):
    """StyleGAN2's synthesis (arXiv 1912.04958, skip architecture) from a 4x4 constant.

    It takes no noise: a scene is a function of its latent, and noise in planes would change with
    the view or flicker in a video.

    Args:
        size: result and width.
        width: size W of the latent.
        extra_blocks: whether a block that keeps the resolution follows every block, option `g` of
            arXiv 2402.00225.
    """

    def __init__(self, size: SynthesisSize, width: int, extra_blocks: bool = False) -> None:
        super().__init__()
        widths, channels = size.widths(), size.channels
        self.constant = nn.Parameter(torch.randn(widths[0], START, START))
        self.first = ModulatedConv(widths[0], widths[0], 3, width)
        self.first_planes = ModulatedProjection(widths[0], channels, width)
        blocks = []
        for before, after in zip([0, *widths], widths, strict=False):
            if before:
                blocks.append(SynthesisBlock(before, after, channels, width, up=True))
            if extra_blocks:
                blocks.append(SynthesisBlock(after, after, channels, width, up=False))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, w: Tensor) -> Tensor:
        """Map w (B, W) to (B, channels, R, R), channels-last in memory."""
        x = self.constant.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.first(x, w)
        planes = self.first_planes(x, w)
        for block in self.blocks:
            x, planes = block(x, planes, w)
        return planes
