"""Objects laid over other objects, so that what they hide is known."""

from __future__ import annotations

import numpy as np
from PIL import Image

from datamodules.build.keys import key_hash
from datamodules.modalities import MASK_OBJECT

SCALES = (0.7, 1.4)
"""Least and most factor on the size that an occluder has in its own photograph."""

_SIZES = 8  # that are tried where no place of the first hides what it should
_NO_RINGING = Image.Resampling.HAMMING  # or alpha would not end where the object does


def cut_out(photograph: Image.Image, codes: np.ndarray) -> Image.Image:
    """Cut an object out of a photograph (W, H) by its mask codes (H, W): RGBA, trimmed to it.

    Raises ValueError if the mask has no pixel of an object.
    """
    rows, columns = np.nonzero(codes == MASK_OBJECT)
    if not rows.size:
        raise ValueError("its mask has no pixel of an object")
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    alpha = Image.fromarray(np.where(codes == MASK_OBJECT, 255, 0).astype(np.uint8))
    trimmed = photograph.crop(box)
    trimmed.putalpha(alpha.crop(box))
    return trimmed


def occluded(
    target: Image.Image,
    body: np.ndarray,
    shape: Image.Image,
    scale: tuple[float, float],
    cover: tuple[float, float],
    seed: int,
) -> tuple[Image.Image, np.ndarray]:
    """Lay a cut-out object over that of another image; return the image, and (H, W) bool where the
    cut-out shows at all.

    Its size is its own times a random factor, its place a random one of all that hide as much as
    they should. Where none does, other sizes are tried, and the place that comes nearest is taken.

    Args:
        target: RGB, as it is stored.
        body: (H, W) bool, the pixels of its object, of which there is one at least.
        shape: RGBA, see `cut_out`.
        scale: stored pixels a pixel of the cut-out, along x and y.
        cover: least and most share of the body that is hidden.
        seed: decides size and place.
    """
    rng = np.random.default_rng(seed)
    laid, corner, missed = shape, (0, 0), np.inf
    for power in rng.random(_SIZES).tolist():
        factor = SCALES[0] * (SCALES[1] / SCALES[0]) ** power
        width, height = (
            max(1, round(side * along * factor))
            for side, along in zip(shape.size, scale, strict=True)
        )
        resized = shape.resize((width, height), _NO_RINGING)
        hidden = hidden_shares(body, np.asarray(resized.getchannel("A")) > 0)
        off = np.maximum(cover[0] - hidden, hidden - cover[1]).clip(min=0)
        if off.min() < missed:
            place = rng.choice(np.flatnonzero(off == off.min()))
            row, column = divmod(int(place), hidden.shape[1])
            laid, missed = resized, off.min()
            corner = column - width + 1, row - height + 1
        if missed == 0:
            break
    return _pasted(target, laid, corner)


def hidden_shares(body: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Share of a body (H, W) bool that a shape (h, w) bool hides, for every place where the two
    frames touch: (H + h - 1, W + w - 1), of which [h - 1, w - 1] has their upper left corners on
    each other."""
    size = [one + other - 1 for one, other in zip(body.shape, shape.shape, strict=True)]
    # A convolution with the shape turned around counts the common pixels of all places at once.
    spectrum = np.fft.rfft2(body, size) * np.fft.rfft2(shape[::-1, ::-1], size)
    return np.rint(np.fft.irfft2(spectrum, size)) / body.sum()


def _pasted(
    target: Image.Image, shape: Image.Image, corner: tuple[int, int]
) -> tuple[Image.Image, np.ndarray]:
    """An image with a cut-out at a place, parts of which may be outside."""
    image, alpha = target.copy(), Image.new("L", target.size)
    image.paste(shape, corner, shape)
    alpha.paste(shape.getchannel("A"), corner)
    return image, np.asarray(alpha) > 0


def chance(seed: int, key: str, purpose: str) -> int:
    """A number below 2^64 that follows from a seed, a key and what it is for."""
    return key_hash(f"{seed}/{purpose}", key)
