"""A compact network that sees depth in one photograph, where larger ones can't be had."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.classifier import GROUPS, ResidualBlock
from models.limits import SIDES, WIDTHS
from models.recipe import Recipe
from renderers.ranges import check_number

STRIDE = 32
"""Pixels of an image to one of the deepest features; sides are rounded to multiples."""
MULTIPLES = (1, 2, 3, 4, 6)
"""Channels of the levels, times the width."""


class SmallDepthNetwork(nn.Module):
    """An encoder of five residual levels, each half as large as the one before, and a decoder that
    goes back up with skips (as U-Nets, arXiv 1505.04597); the deepest level also hears its own
    mean, for what is near in an image depends on all of it.

    With the default width it has 2.1 M parameters.

    Args:
        resolution: about the shorter side in pixels that images are resized to, at least 64.
        width: channels of the first level, a multiple of 8.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, resolution: int = 128, width: int = 32) -> None:
        super().__init__()
        check_number("model.network.resolution", resolution, 2 * STRIDE, SIDES[1])
        check_number("model.network.width", width, GROUPS, WIDTHS[1])
        if width % GROUPS:
            raise ValueError(f"model.network.width is {width}, it must be a multiple of {GROUPS}.")
        self.resolution, self.width = resolution, width
        channels = [times * width for times in MULTIPLES]
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.down = nn.ModuleList(
            ResidualBlock(i, o, stride=1 if i == o else 2)
            for i, o in zip([width, *channels], channels, strict=False)
        )
        self.context = nn.Linear(channels[-1], channels[-1])
        self.up = nn.ModuleList(
            ResidualBlock(deep + skip, skip, stride=1)
            for deep, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.norm = nn.GroupNorm(GROUPS, width)
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""
        arguments = {"resolution": self.resolution, "width": self.width}
        return {"class_path": "models.depth_network.SmallDepthNetwork", "init_args": arguments}

    def forward(self, images: Tensor) -> Tensor:
        """Disparity (B, H, W) float32, true up to a factor and an offset, of images (B, 3, H, W) in
        [0, 1]."""
        height, width = images.shape[-2:]
        scale = self.resolution / min(height, width)
        sides = [max(2, round(side * scale / STRIDE)) * STRIDE for side in (height, width)]
        x = F.interpolate(images, sides, mode="bilinear", antialias=True)
        x = self.stem(2 * x - 1)
        levels = []
        for block in self.down:
            x = block(x)
            levels.append(x)
        x = x + self.context(x.mean((2, 3)))[..., None, None]
        for block, skip in zip(self.up, levels[-2::-1], strict=True):
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear")
            x = block(torch.cat([x, skip], 1))
        disparity = self.head(F.relu(self.norm(x))).float()
        return F.interpolate(disparity, (height, width), mode="bilinear")[:, 0]
