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
    """Each token of a grid x grid image fills one square patch of every plane.

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

    def forward(self, x: Tensor) -> Tensor:
        """Lay the patches out on the planes."""
        texels = rearrange(
            self.linear(x),
            "b (h w) (planes p q c) -> b planes (h p) (w q) c",
            h=self.grid,
            planes=PLANES,
            p=self.patch,
            q=self.patch,
        )
        return texels.permute(0, 1, 4, 2, 3)
