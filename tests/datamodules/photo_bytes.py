"""Small pictures as files of every kind."""

import io

import numpy as np
from PIL import Image

SIZE = (12, 7)  # width and height


def noise(mode: str) -> Image.Image:
    """A picture of a mode, all of whose channels vary."""
    rng = np.random.default_rng(len(mode))
    picture = Image.fromarray(rng.integers(0, 256, (*SIZE[::-1], 4), dtype=np.uint8))
    if mode == "LAB":
        return Image.merge("LAB", picture.split()[:3])
    if mode == "PA":
        return picture.convert("RGB").convert("P").convert("PA")
    return picture.convert("RGB").convert(mode) if mode in ("P", "CMYK") else picture.convert(mode)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode == "RGB" and np.array_equal(np.asarray(one), np.asarray(other))
