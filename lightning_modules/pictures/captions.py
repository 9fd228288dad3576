"""Text beside the rows and above the columns of a sheet."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lightning_modules.pictures.drawing import to_uint8

SIZES = range(13, 6, -1)
"""Of the font in pixels, largest first; a text takes the largest that fits its place."""
MARGIN = 4
WIDEST_NAME = 160
"""Pixels that names of rows may take; longer ones are cut."""
MOST_LETTERS = 1000
"""That are measured at all: more have no place on any sheet."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def labelled(picture: Tensor, rows: Sequence[str], columns: Sequence[str] = ()) -> Tensor:
    """A sheet (3, H, W) of equal rows and columns with their names beside and above it.

    Returns (3, H + h, W + w) in [0, 1], both sides as even as those of the sheet. Without names
    there is no margin for them.
    """
    rows, columns = ([name[:MOST_LETTERS] for name in names] for names in (rows, columns))
    height, width = picture.shape[1:]
    fonts = [_fitting(name, WIDEST_NAME) for name in rows]
    names = [_cut(name, font) for name, font in zip(rows, fonts, strict=True)]
    left = max((_width(n, f) for n, f in zip(names, fonts, strict=True)), default=-2 * MARGIN)
    left += 2 * MARGIN + left % 2
    top = SIZES[0] + 2 * MARGIN + 1 if columns else 0
    canvas = Image.new("RGB", (left + width, top + height), "white")
    canvas.paste(Image.fromarray(to_uint8(picture)), (left, top))
    draw = ImageDraw.Draw(canvas)
    for row, (name, font) in enumerate(zip(names, fonts, strict=True)):
        middle = top + (row + 0.5) * height / len(rows)
        draw.text((left - MARGIN, middle), name, "black", font, anchor="rm")
    for column, name in enumerate(columns):
        room = width / len(columns)
        font = _fitting(name, room)
        place = left + (column + 0.5) * room, top / 2
        draw.text(place, _cut(name, font, room), "black", font, anchor="mm")
    return torch.from_numpy(np.asarray(canvas) / np.float32(255)).permute(2, 0, 1)


def _fitting(text: str, room: float) -> Font:
    """The largest font in which a text fits, or the smallest."""
    fonts = [ImageFont.load_default(size) for size in SIZES]
    return next((font for font in fonts if _width(text, font) <= room), fonts[-1])


def _cut(text: str, font: Font, room: float = WIDEST_NAME) -> str:
    """A text as far as it fits."""
    while len(text) > 1 and _width(text, font) > room:
        text = text[:-1]
    return text


def _width(text: str, font: Font) -> int:
    return int(np.ceil(font.getlength(text)))
