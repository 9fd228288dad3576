"""Masks and depth maps beside images, checked before any number is narrowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from datamodules.modalities import DISPARITY_MAX, MASK_CODES
from datamodules.picture import PictureError, integer_pixels, open_picture, stored_integers

DepthKind = Literal["metres_mm", "disparity"]

_LARGEST_DEPTH = {"metres_mm": 2**31 - 1, "disparity": DISPARITY_MAX}


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a mask file as codes (H, W) uint8 of 0, 1, 2, 255; of a palette the indices count.

    size  width and height of its image

    Raises PictureError if it is no picture, is of another size, or holds anything else.
    """
    with _named("mask", path), open_picture(path) as file:
        _check_size(file, size, "mask")
        if not has_codes(file):
            raise PictureError(
                f"its mask has mode {file.mode}, expected one channel of 0, 1, 2 or 255"
            )
        file.load()
        codes = stored_integers(file)
        others = np.setdiff1d(codes, MASK_CODES)
        if others.size:
            shown = ", ".join(map(str, others[:5])) + (", ..." if others.size > 5 else "")
            raise PictureError(f"mask codes must be 0, 1, 2 or 255, got [{shown}]")
    return codes.astype(np.uint8)


def has_codes(file: Image.Image) -> bool:
    """Whether a picture, of which the header was read, has one channel of integers."""
    return file.mode in ("1", "L", "P") or file.mode.startswith("I")


def read_depth(path: Path, size: tuple[int, int], kind: DepthKind) -> np.ndarray:
    """Read a depth file of 16 or 32 bits as (H, W) int32: millimetres, or disparity up to 65535.

    size  width and height of its image

    Raises PictureError if it is no picture, is of another size, or holds anything else.
    """
    with _named("depth", path), open_picture(path) as file:
        _check_size(file, size, "depth")
        if not file.mode.startswith("I"):
            raise PictureError(f"its depth has mode {file.mode}, expected a 16-bit png")
        file.load()
        values, _ = integer_pixels(file)
        if values.max() > _LARGEST_DEPTH[kind]:
            raise PictureError(
                f"its depth goes up to {values.max()}, the limit of {kind} is "
                f"{_LARGEST_DEPTH[kind]}"
            )
    return values.astype(np.int32)


@contextmanager
def _named(what: str, path: Path) -> Iterator[None]:
    """Name the file in what is wrong with it: `rejected.csv` names the image alone."""
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{error} ({what} {path})") from error


def _check_size(file: Image.Image, size: tuple[int, int], what: str) -> None:
    if file.size != size:
        raise PictureError(
            f"its {what} is {file.size[0]} x {file.size[1]}, the image {size[0]} x {size[1]}"
        )
