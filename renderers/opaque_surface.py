"""Surface of what is opaque in a density field, however its density is spread along a ray."""

from __future__ import annotations

import math

import numpy as np

OPAQUE = math.log(2) / 3
"""`inner_depth` of the surface. A ray through the box is opaque, it lets less than half of the
light through, where its optical depth exceeds ln 2, and has half of that before and behind its
middle; at edges of what is opaque light comes in from the side, too, so a third is asked for. Of 12
generated objects the silhouettes from oblique directions share 0.94 of their union with opacity
above 1/2 then; 0.92 at a quarter, 0.90 at a half, 0.61 at one density for all."""


def inner_depth(grid: np.ndarray, halves: tuple[float, float, float]) -> np.ndarray:
    """Optical depth between the points of a density lattice (X, Y, Z) and the nearest, as light
    goes, of the six faces of its box, float32.

    Along each axis, half of the density at a point itself counts to either side.

    Args:
        grid: densities, of which those below 0 count as 0; see `density_grid`.
        halves: half the sides of the box.

    >>> even = np.full((3, 3, 3), 2.0)
    >>> inner_depth(even, (1.0, 1.0, 1.0))[:, 1, 1].tolist()  # points are 1 apart
    [1.0, 3.0, 1.0]
    """
    density = np.clip(grid, 0, None).astype(np.float64)
    least = np.full(grid.shape, np.inf)
    for axis, half in enumerate(halves):
        step = 2 * half / (grid.shape[axis] - 1)
        before = density.cumsum(axis) - density / 2
        behind = density.sum(axis, keepdims=True) - before
        least = np.minimum(least, step * np.minimum(before, behind))
    return least.astype(np.float32)
