"""A rectangle of an image, and the tokens that lie in it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from models.blocks.token_layout import TokenLayout

OUTLINE = (1.0, 0.2, 0.2)

Corners = tuple[float, float, float, float]
"""Left, top, right and bottom as fractions of the image's width and height."""


@dataclass(frozen=True)
class TokenBox:
    """Rows and columns of tokens, from a first to before a last."""

    top: int
    bottom: int
    left: int
    right: int

    def __str__(self) -> str:
        return f"{self.bottom - self.top} x {self.right - self.left}"

    def mask(self, layout: TokenLayout) -> Tensor:
        """Mask (T,) bool of the tokens in the box.

        On a tri-plane those of the beam that the box, seen along z, cuts out of the cube: planes
        are in the order of `renderers.triplane`, x runs to the right and y upwards.
        """
        inside = torch.zeros(layout.planes, layout.rows, layout.columns, dtype=torch.bool)
        across, down = slice(self.left, self.right), slice(self.top, self.bottom)
        if layout.planes == 1:
            inside[0, down, across] = True
        else:
            up = slice(layout.rows - self.bottom, layout.rows - self.top)
            inside[0, up, across] = True
            inside[1, :, across] = True
            inside[2, :, up] = True
        return inside.flatten()

    def outline(self, picture: Tensor, layout: TokenLayout) -> Tensor:
        """A picture (3, H, W) of the whole grid with a frame around the box's tokens."""
        height, width = picture.shape[1:]
        top, bottom = (round(row * height / layout.rows) for row in (self.top, self.bottom))
        left, right = (round(column * width / layout.columns) for column in (self.left, self.right))
        line = max(1, height // 96)
        drawn, colour = picture.clone(), picture.new_tensor(OUTLINE)[:, None, None]
        drawn[:, top:bottom, left:right] = colour
        inner = slice(top + line, bottom - line), slice(left + line, right - line)
        drawn[:, *inner] = picture[:, *inner]
        return drawn


def token_box(region: Corners, layout: TokenLayout, option: str = "--region") -> TokenBox:
    """The tokens whose centres lie in a region.

    Raises:
        DataError: the region is not within the image, or holds no token.
    """
    left, top, right, bottom = region
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise DataError(
            f"{option} is {left:g},{top:g},{right:g},{bottom:g}: left,top,right,bottom are "
            "fractions of the image, 0 to 1, left below right and top below bottom."
        )
    if layout.planes != 1 and (layout.planes, layout.rows) != (3, layout.columns):
        raise DataError(f"{option} is of an image or three square planes, the tokens of {layout}.")
    rows = _within(top, bottom, layout.rows)
    columns = _within(left, right, layout.columns)
    box = TokenBox(*rows, *columns)
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        raise DataError(
            f"{option} {left:g},{top:g},{right:g},{bottom:g} holds no centre of the "
            f"{layout.rows} x {layout.columns} tokens of the image: make it larger."
        )
    return box


def _within(low: float, high: float, cells: int) -> tuple[int, int]:
    """The cells whose centres lie in [low, high), as a range."""
    return math.ceil(low * cells - 0.5), math.ceil(high * cells - 0.5)
