"""Layout of a scene's tokens on one grid or three planes, and position embeddings."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.blocks.vit import POSITION_SCALE, sine_waves
from models.limits import SIDES
from renderers.ranges import check_number


@dataclass(frozen=True)
class TokenLayout:
    """T = planes x rows x columns tokens, plane by plane in raster order.

    planes: 1 where tokens lie on an image (VQ3D), 3 where they lie on a tri-plane (GINA-3D).
    """

    rows: int = 32
    columns: int = 32
    planes: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a layout without tokens, or with too many for an embedding each."""
        for name in ("rows", "columns", "planes"):
            check_number(name, getattr(self, name), *SIDES)

    @property
    def tokens(self) -> int:
        """Number of tokens T."""
        return self.planes * self.rows * self.columns

    def __str__(self) -> str:
        grid = f"{self.rows} x {self.columns}"
        return grid if self.planes == 1 else f"{self.planes} planes of {grid}"


class TokenPositions(nn.Module):
    """Learned embedding of each token's plane, row and column, summed: () -> (T, D).

    Rows and columns start from sines, so that neighbours are alike from the first step, and the
    same ones on all planes; planes start at zero.
    """

    def __init__(self, layout: TokenLayout, width: int) -> None:
        super().__init__()
        self.plane = nn.Parameter(torch.zeros(layout.planes, width))
        self.row = nn.Parameter(torch.zeros(layout.rows, width))
        self.column = nn.Parameter(torch.zeros(layout.columns, width))
        with torch.no_grad():
            half = width // 2
            self.row[:, :half] = POSITION_SCALE * sine_waves(layout.rows, half)
            self.column[:, half:] = POSITION_SCALE * sine_waves(layout.columns, half)

    def forward(self) -> Tensor:
        """The embeddings of all tokens in order."""
        grid = self.row[:, None] + self.column  # (H, W, D)
        return (self.plane[:, None, None] + grid).flatten(0, 2)
