"""Tokens of a square grid to three feature planes."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from models.limits import SIDES, WIDTHS
from renderers.ranges import check_number

PLANES = 3


@dataclass(frozen=True)
class PlaneSize:
    """Channels and side length of each of the three planes.

    Raises ValueError for a number outside its range.
    """

    channels: int = 32
    resolution: int = 256

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("channels", self.channels, *WIDTHS)
        check_number("resolution", self.resolution, *SIDES)


class PlaneHead(nn.Module):
    """Each token of a grid x grid image fills one square patch of every plane; a blur then
    joins the patches.

    The patch lies where the canonical camera sees the token's part of the image: a column is one
    range of x, a row one of y, up being +y. Left over are the rows of the (x, z) plane, upper ones
    far as ground is, and the columns of the (y, z) plane. Patches laid out in raster order, planes
    upside down, have to be learned around by attention, which takes most of a short training.

    (B, T, D) -> (B, P, C, H, W), channels-last in memory so that the triplane lookup reads the
    C features of a texel in one go.
    """

    def __init__(self, width: int, grid: int, size: PlaneSize) -> None:
        super().__init__()
        if size.resolution % grid:
            raise ValueError(
                f"{grid} x {grid} tokens do not tile planes of side {size.resolution}: "
                "change `planes.resolution` or `patch`."
            )
        self.grid, self.patch = grid, size.resolution // grid
        self.linear = nn.Linear(width, PLANES * size.channels * self.patch**2)
        self.join = PatchJoin(PLANES * size.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Lay the patches out on the planes and join them."""
        raster = rearrange(
            self.linear(x),
            "b (h w) (planes p q c) -> planes b (h p) (w q) c",
            h=self.grid,
            planes=PLANES,
            p=self.patch,
            q=self.patch,
        )
        up = raster.flip(2)  # row 0 of a plane is the lower end of its second axis
        texels = torch.cat([up[0], raster[1], up[2].transpose(1, 2)], -1)  # (B, H, W, P C)
        return self.join(texels.permute(0, 3, 1, 2)).unflatten(1, (PLANES, -1))


class PatchJoin(nn.Module):
    """A learned blur of each channel, two 3x3 steps, added to its input: (B, C, H, W) -> same.

    Tokens that fill their patches alone leave seams at the borders, which show as crosses in the
    geometry of what is near the middle of the planes. With this every patch overlaps its
    neighbours by two texels; a pair that also mixes channels costs six times as much.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, planes: Tensor) -> Tensor:
        """Carry features over the borders of the patches."""
        return planes + self.second(self.first(planes))
