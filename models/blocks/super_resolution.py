"""Style-based super-resolution of a rendered image, in the manner of EG3D (arXiv 2112.07945)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.modulated import ModulatedConv, ModulatedProjection


class SuperResolution(nn.Module):
    """Two modulated blocks over rendered features; each adds to the upsampled colours.

    Colours may have any affine range, such as [-1, 1] or [0, 1]: they are upsampled by the binomial
    filter with the border continued, which keeps constants, so black is black at the border in
    either. The output layers start at zero, so training starts from the upsampled colours.

    Args:
        channels: C of the features.
        factor: 2 (the first block keeps the resolution) or 4.
        width: size W of the latent.
        widths: channels of the two blocks.

    Raises ValueError for another factor.
    """

    def __init__(
        self,
        channels: int,
        factor: Literal[2, 4],
        width: int,
        widths: tuple[int, int] = (128, 64),
    ) -> None:
        super().__init__()
        if factor not in (2, 4):
            raise ValueError(f"Super-resolution by {factor} is not 2 or 4: change `factor`.")
        first, second = widths
        self.blocks = nn.ModuleList(
            [
                ColorBlock(channels, first, width, up=factor == 4),
                ColorBlock(first, second, width, up=True),
            ]
        )

    def forward(self, features: Tensor, rgb: Tensor, w: Tensor) -> Tensor:
        """Map features (B, C, h, w), rgb (B, 3, h, w), w (B, W) to (B, 3, h factor, w factor)."""
        for block in self.blocks:
            features, rgb = block(features, rgb, w)
        return rgb


class ColorBlock(nn.Module):
    """Two modulated 3x3 convolutions and their correction of the colours.

    Args:
        inputs: channels of the input.
        outputs: channels of the result.
        width: size W of the latent.
        up: whether to double the resolution.
    """

    def __init__(self, inputs: int, outputs: int, width: int, *, up: bool) -> None:
        super().__init__()
        self.first = ModulatedConv(inputs, outputs, 3, width, up=up)
        self.second = ModulatedConv(outputs, outputs, 3, width)
        self.to_rgb = ModulatedProjection(outputs, 3, width, zero=True)
        self.up = up

    def forward(self, x: Tensor, rgb: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, C, H, W) and rgb (B, 3, H, W) on, both of one resolution."""
        x = self.second(self.first(x, w), w)
        if self.up:
            # Bilinear at a factor of two is the binomial filter; it repeats the border.
            rgb = F.interpolate(rgb, scale_factor=2, mode="bilinear", align_corners=False)
        return x, rgb + self.to_rgb(x, w)
