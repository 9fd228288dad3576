"""Tokens of a square grid to three feature planes."""

from dataclasses import dataclass

from einops import rearrange
from torch import Tensor, nn

PLANES = 3


@dataclass(frozen=True)
class PlaneSize:
    """Channels and side length of each of the three planes."""

    channels: int = 32
    resolution: int = 256


class PlaneHead(nn.Module):
    """Each token of a grid x grid image fills one square patch of every plane; a blur then
    joins the patches.

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
        texels = rearrange(
            self.linear(x),
            "b (h w) (planes p q c) -> b (h p) (w q) (planes c)",
            h=self.grid,
            planes=PLANES,
            p=self.patch,
            q=self.patch,
        )
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
