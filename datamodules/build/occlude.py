"""Objects laid over other objects, so that what they hide is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from datamodules.modalities import DISPARITY_UNKNOWN, MASK_OBJECT, MASK_OCCLUDER

_TRIES = 200


@dataclass(frozen=True)
class Pixels:
    """A stored image: rgb (H, W, 3) uint8, mask codes (H, W) uint8, and disparity (H, W) uint16 or
    None."""

    rgb: np.ndarray
    mask: np.ndarray
    disparity: np.ndarray | None = None


def occluded(target: Pixels, other: Pixels, cover: tuple[float, float], seed: int) -> Pixels:
    """Lay the object of one image over that of another of the same size.

    cover   least and most share of the target's object that is hidden; of 200 random places the
            first that hides so much, else the one that comes nearest
    seed    decides the place

    Raises ValueError where either has no pixels of an object.
    """
    shape, body = other.mask == MASK_OBJECT, target.mask == MASK_OBJECT
    if not shape.any() or not body.any():
        raise ValueError("it, or what is to be laid over it, has no pixel of an object")
    dy, dx = _place(body, shape, cover, seed)
    over = shifted(shape, dy, dx)
    disparity = target.disparity
    return Pixels(
        np.where(over[..., None], shifted(other.rgb, dy, dx), target.rgb),
        np.where(over, np.uint8(MASK_OCCLUDER), target.mask),
        None if disparity is None else np.where(over, np.uint16(DISPARITY_UNKNOWN), disparity),
    )


def _place(
    body: np.ndarray, shape: np.ndarray, cover: tuple[float, float], seed: int
) -> tuple[int, int]:
    """Rows and columns by which a shape is moved to hide the wanted share of a body: each try moves
    one of its pixels onto one of the body's."""
    rng = np.random.default_rng(seed)
    ways = rng.choice(np.argwhere(body), _TRIES) - rng.choice(np.argwhere(shape), _TRIES)
    best, missed = (0, 0), np.inf
    for dy, dx in ways.tolist():
        share = (shifted(shape, dy, dx) & body).sum() / body.sum()
        off = max(cover[0] - share, share - cover[1], 0.0)
        if off < missed:
            best, missed = (dy, dx), off
        if off == 0:
            break
    return best


def shifted(values: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Values (H, W, ...) moved down and to the right, zero where nothing comes from."""
    height, width = values.shape[:2]
    moved = np.zeros_like(values)
    rows, columns = _overlap(height, dy), _overlap(width, dx)
    moved[rows[0], columns[0]] = values[rows[1], columns[1]]
    return moved


def _overlap(side: int, by: int) -> tuple[slice, slice]:
    """Where values moved along an axis go, and where they come from."""
    by = max(-side, min(side, by))
    return slice(max(by, 0), side + min(by, 0)), slice(max(-by, 0), side - max(by, 0))


def chance(seed: int, key: str, purpose: str) -> int:
    """A number below 2^64 that follows from a seed, a key and what it is for."""
    text = f"{seed}/{purpose}/{key}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
