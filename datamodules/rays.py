"""Rays through the pixels of one image, from its pinhole camera or from a stored grid of rays.

Imports no torch, so that processes that write shards start quickly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_OPPOSED = 0.1  # shorter than this is only what lies between directions that cancel out


class PinholeCamera(NamedTuple):
    """Camera of one image, in the convention of `renderers.cameras`, as float32 arrays.

    cam2world (4, 4); intrinsics (3, 3), divided by the image size.
    """

    cam2world: np.ndarray
    intrinsics: np.ndarray


class ImageRays(NamedTuple):
    """Rays of h x w points of an image: origins and unit directions (h, w, 3) float32."""

    origins: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class RayGrid:
    """Rays of an image of `size` (H, W) at nodes of a grid, bilinear in between.

    origins     (h, w, 3) float32, 1 <= h <= H and 1 <= w <= W
    directions  (h', w', 3) float32, unit length, with a grid of their own

    The nodes are spread evenly from the centres of the first row and column of pixels to those of
    the last. H x W nodes are the pixels themselves, one node is a constant.
    """

    origins: np.ndarray
    directions: np.ndarray
    size: tuple[int, int]

    def at(self, rows: np.ndarray, columns: np.ndarray) -> ImageRays:
        """Rays (r, c) at rows (r,) and columns (c,) in pixels.

        0 is the centre of the first row or column, H - 1 or W - 1 that of the last. Raises
        ValueError where neighbouring directions are opposed, since none lies between them.
        """
        origins = resample(self.origins, self.size, rows, columns)
        directions = resample(self.directions, self.size, rows, columns)
        if _lengths(directions).min() < _OPPOSED:
            raise ValueError("its rays have neighbours of opposed directions")
        return ImageRays(origins, unit(directions))


def resample(
    nodes: np.ndarray, size: tuple[int, int], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Bilinear values (r, c, C) of nodes (h, w, C) that span an image of `size` (H, W) pixels.

    rows, columns  as in `RayGrid.at`

    At the centre of a pixel that has a node of its own this is the node, exactly.
    """
    # Columns first: rows are what memory copies fastest, and there are more values by then.
    for axis, pixels in ((1, columns), (0, rows)):
        scale = (nodes.shape[axis] - 1) / max(size[axis] - 1, 1)
        nodes = _interpolate(nodes, pixels * scale, axis)
    return nodes


def pinhole_rays(camera: PinholeCamera, resolution: int) -> ImageRays:
    """Rays of the r x r pixels of a camera's square image; ValueError if they are not finite."""
    matrix = camera.intrinsics.astype(np.float64)
    finite = np.isfinite(camera.cam2world).all() and np.isfinite(matrix).all()
    if not (finite and matrix[0, 0] and matrix[1, 1]):
        raise ValueError("its camera has rays that are not finite")
    centres = (np.arange(resolution) + 0.5) / resolution
    local = np.ones((resolution, resolution, 3))
    local[..., 1] = (centres[:, None] - matrix[1, 2]) / matrix[1, 1]
    local[..., 0] = (centres - matrix[0, 2] - matrix[0, 1] * local[..., 1]) / matrix[0, 0]
    # einsum, not BLAS, whose last bits can follow its number of threads.
    directions = np.einsum("hwj,ij->hwi", local, camera.cam2world[:3, :3].astype(np.float64))
    directions = unit(directions).astype(np.float32)
    return ImageRays(np.broadcast_to(camera.cam2world[:3, 3], directions.shape), directions)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (h, w, 3) scaled to length 1; those of length 0 stay."""
    return vectors / np.maximum(_lengths(vectors), np.finfo(vectors.dtype).tiny)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths (h, w, 1) of vectors (h, w, 3)."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.sqrt(x * x + y * y + z * z)[..., None]


def _interpolate(values: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along an axis of `values` (h, w, C) at positions (n,) in nodes."""
    last = values.shape[axis] - 1
    low = np.clip(np.floor(positions).astype(np.int64), 0, last)
    weights = (positions - low).astype(np.float32)
    below = values.take(low, axis)
    if not weights.any():
        return below
    above = values.take(np.minimum(low + 1, last), axis)
    above -= below
    above *= weights.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    above += below
    return above
