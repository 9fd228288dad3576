"""Mask codes of a crop from labels of its pixels and distances to LiDAR returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from datamodules.build.waymo.tables import RowError
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT, MASK_OCCLUDER, MASK_UNKNOWN

THINGS = (*range(2, 13), *range(14, 19), 27)
"""Labels of what can stand before an object: vehicles, people, animals, cones, poles, signs,
traffic lights, what else moves."""
STUFF = range(19, 27)
"""Labels of what lies behind: building, road and its markers, sidewalk, vegetation, sky, ground."""

_CODES = np.full(256, MASK_UNKNOWN, np.uint8)
_CODES[list(THINGS)] = MASK_OCCLUDER
_CODES[list(STUFF)] = MASK_BACKGROUND
_FEW = 64
_PARALLEL = 1e-10  # for components of directions that are 0
_SLACK = 0.2  # metres beyond its labelled box that a return from an object may lie


class Crossings(NamedTuple):
    """Distances (n,) along rays to where they enter and leave a box, and whether they meet it.

    `near` is negative if a ray begins inside; both mean nothing where `hit` is false.
    """

    hit: np.ndarray
    near: np.ndarray
    far: np.ndarray


def box_crossings(origins: np.ndarray, directions: np.ndarray, size: np.ndarray) -> Crossings:
    """Where rays (n, 3), in the box frame, cross a box around the origin with sides `size` (3,)."""
    half = (size / 2).astype(directions.dtype)[:, None]
    # By component: numpy reduces the last of three slowly.
    starts, ways = (np.ascontiguousarray(vectors.T) for vectors in (origins, directions))
    slopes = np.where(ways == 0, ways.dtype.type(_PARALLEL), ways)
    first, second = (-half - starts) / slopes, (half - starts) / slopes
    near = np.minimum(first, second).max(axis=0)
    far = np.maximum(first, second).min(axis=0)
    return Crossings((near <= far) & (far > 0), near, far)


def mask_codes(
    semantic: np.ndarray,
    of_object: np.ndarray,
    distances: np.ndarray,
    origins: np.ndarray,
    directions: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """Codes (H, W) uint8 of pixels.

    Of these the first that holds:
    1. pixels of the object's own mask are the object;
    2. a LiDAR return before the box is an occluder, one behind the box background, where the
       pixel's ray meets the box;
    3. other things by their label (`THINGS`) are occluders where the pixel's ray meets the box, if
       no LiDAR return says that nothing is before it, and background elsewhere, where they hide
       nothing of it; stuff (`STUFF`) is background;
    4. all others are unknown.

    Args:
        semantic: (H, W) uint8 labels of the camera segmentation.
        of_object: (H, W) bool.
        distances: (H, W) metres along the rays to the first LiDAR return, 0 where there is none.
        origins: (H, W, 3) of the rays, in the box frame.
        directions: (H, W, 3), of length 1.
        size: (3,) sides of the object's box along x, y and z.
    """
    codes = _CODES.take(semantic).ravel()
    codes[of_object.ravel()] = MASK_OBJECT
    returns = distances.ravel()
    pixels = np.flatnonzero((codes != MASK_OBJECT) & ((returns > 0) | (codes == MASK_OCCLUDER)))
    starts, ways = (vectors.reshape(-1, 3)[pixels] for vectors in (origins, directions))
    hit, near, far = box_crossings(starts, ways, size)
    returns = returns[pixels]
    codes[pixels[~hit & (codes[pixels] == MASK_OCCLUDER)]] = MASK_BACKGROUND
    codes[pixels[hit & (returns > 0) & (returns < near)]] = MASK_OCCLUDER
    codes[pixels[hit & (returns > far)]] = MASK_BACKGROUND
    within = hit & (returns > 0) & (returns >= near) & (returns <= far)
    codes[pixels[within & (codes[pixels] == MASK_OCCLUDER)]] = MASK_UNKNOWN
    return codes.reshape(semantic.shape)


def distances_of_object(
    distances: np.ndarray,
    codes: np.ndarray,
    origins: np.ndarray,
    directions: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """Distances (H, W) with those of pixels of the object set to 0, unknown, where no point of the
    object's box has them: at its edges LiDAR and camera see past each other.

    Args: as of `mask_codes`, whose codes (H, W) are given.
    """
    found = distances.ravel().copy()
    pixels = np.flatnonzero((codes.ravel() == MASK_OBJECT) & (found > 0))
    starts, ways = (vectors.reshape(-1, 3)[pixels] for vectors in (origins, directions))
    hit, near, far = box_crossings(starts, ways, size)
    returns = found[pixels]
    elsewhere = ~hit | (returns < near - _SLACK) | (returns > far + _SLACK)
    found[pixels[elsewhere]] = 0
    return found.reshape(distances.shape)


def check_object_seen(
    codes: np.ndarray, origins: np.ndarray, directions: np.ndarray, size: np.ndarray
) -> None:
    """RowError if mask codes (H, W) show no object, or if none of the object's rays (H, W, 3)
    meets its box with sides `size` (3,)."""
    seen = np.flatnonzero(codes == MASK_OBJECT)
    if not len(seen):
        raise RowError("its mask has no object pixel")
    starts, ways = origins.reshape(-1, 3), directions.reshape(-1, 3)
    for pixels in (seen[:: len(seen) // _FEW + 1], seen):  # few find most boxes
        if box_crossings(starts[pixels], ways[pixels], size).hit.any():
            return
    raise RowError("no ray of the object meets its box")
