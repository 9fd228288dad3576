"""Kernels over the rays of all pixels of an image: thinning them out, and resizing them.

Without numba's fast mathematics, whose last bits differ between compiled and cached kernels: shards
must have the same bytes whoever writes them.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def thin_out(pixels: np.ndarray, grids: np.ndarray, tolerance: float, is_unit: bool) -> np.ndarray:
    """The coarsest grid (h, w, 3) that gives the vectors of all pixels back, bilinear in between.

    Its nodes are spread evenly from the first pixel's centre to the last one's. The pixels
    themselves if no grid does.

    Args:
        pixels: (H, W, 3) float32.
        grids: (n,) most nodes along each side of the grids to try, from coarse to fine.
        tolerance: most by which a vector may differ, as the length of the difference.
        is_unit: scale to length 1 what is interpolated.
    """
    height, width, _ = pixels.shape
    for most in grids:
        nodes = np.empty((min(most, height), min(most, width), 3), np.float32)
        row, next_row, down = _places(height, nodes.shape[0])
        column, next_column, across = _places(width, nodes.shape[1])
        line = np.empty((3, nodes.shape[1]), np.float32)
        for i in range(nodes.shape[0]):
            _line(pixels, row[i], next_row[i], down[i], column, next_column, across, line)
            if is_unit:
                _to_unit(line)
            nodes[i] = line.T
        if _fits(nodes, pixels, tolerance * tolerance, is_unit):
            return nodes
    return pixels


@njit
def _places(points: int, others: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of `points` points the two round each of `others`, spread over the same length, and the
    weight of the second."""
    low, high = np.empty(others, np.int64), np.empty(others, np.int64)
    weights = np.empty(others, np.float32)
    for i in range(others):
        position = i * (points - 1) / max(others - 1, 1)
        low[i] = min(int(position), points - 1)
        high[i] = min(low[i] + 1, points - 1)
        weights[i] = position - low[i]
    return low, high, weights


@njit
def _line(
    values: np.ndarray,
    upper: int,
    lower: int,
    down: float,
    column: np.ndarray,
    next_column: np.ndarray,
    across: np.ndarray,
    line: np.ndarray,
) -> None:
    """Fill a line (3, n) with bilinear vectors of values (h, w, 3) between two rows."""
    between = np.empty((3, values.shape[1]), np.float32)
    for j in range(values.shape[1]):
        for k in range(3):
            start = values[upper, j, k]
            between[k, j] = start + down * (values[lower, j, k] - start)
    for k in range(3):
        for j in range(line.shape[1]):
            start = between[k, column[j]]
            line[k, j] = start + across[j] * (between[k, next_column[j]] - start)


@njit
def _to_unit(line: np.ndarray) -> None:
    """Scale vectors (3, n) to length 1."""
    for j in range(line.shape[1]):
        x, y, z = line[0, j], line[1, j], line[2, j]
        scale = np.float32(1) / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-30)))
        line[0, j], line[1, j], line[2, j] = x * scale, y * scale, z * scale


@njit
def _fits(nodes: np.ndarray, pixels: np.ndarray, limit: float, is_unit: bool) -> bool:
    """Whether nodes give all pixels back up to a squared difference."""
    height, width, _ = pixels.shape
    row, next_row, down = _places(nodes.shape[0], height)
    column, next_column, across = _places(nodes.shape[1], width)
    line = np.empty((3, width), np.float32)
    for i in range(height):
        _line(nodes, row[i], next_row[i], down[i], column, next_column, across, line)
        if is_unit:
            _to_unit(line)
        worst = np.float32(0)
        for j in range(width):
            x, y, z = pixels[i, j, 0], pixels[i, j, 1], pixels[i, j, 2]
            x, y, z = line[0, j] - x, line[1, j] - y, line[2, j] - z
            worst = max(worst, x * x + y * y + z * z)
        if not worst <= limit:
            return False
    return True


@njit(nogil=True, cache=True)
def resize_vectors(
    values: np.ndarray,
    row: np.ndarray,
    next_row: np.ndarray,
    row_weight: np.ndarray,
    column: np.ndarray,
    next_column: np.ndarray,
    column_weight: np.ndarray,
    axis: np.ndarray,
) -> np.ndarray:
    """Vectors (r, c, 3) float32 between four of values (H, W, 3) float32 each.

    Args:
        row, next_row: (r,) rows of the four, and the weight (r,) of the second.
        column, next_column: (c,) columns of the four, and the weight (c,) of the second.
        axis: (3,) along which the four are first scaled to length 1, the result to length 1
            altogether: so the directions of a pinhole camera are exact; zeros leave lengths alone.
    """
    found = np.empty((len(row), len(column), 3), np.float32)
    planes = _planes(values, axis)
    between = np.empty((3, values.shape[1]), np.float32)
    line = np.empty((3, len(column)), np.float32)
    for i in range(len(row)):
        upper, lower, down = planes[row[i]], planes[next_row[i]], row_weight[i]
        for k in range(3):
            for j in range(values.shape[1]):
                between[k, j] = upper[k, j] + down * (lower[k, j] - upper[k, j])
            for j in range(len(column)):
                start = between[k, column[j]]
                line[k, j] = start + column_weight[j] * (between[k, next_column[j]] - start)
        if axis.any():
            _to_unit(line)
        for j in range(len(column)):
            found[i, j, 0], found[i, j, 1], found[i, j, 2] = line[0, j], line[1, j], line[2, j]
    return found


@njit
def _planes(values: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Vectors (H, W, 3) as (H, 3, W), which loops along a row go through in order, and of length 1
    along an axis (3,), if it is not zeros."""
    height, width, _ = values.shape
    planes = np.empty((height, 3, width), np.float32)
    for i in range(height):
        x, y, z = planes[i]
        for j in range(width):
            x[j], y[j], z[j] = values[i, j, 0], values[i, j, 1], values[i, j, 2]
        if axis.any():
            for j in range(width):
                scale = np.float32(1) / (x[j] * axis[0] + y[j] * axis[1] + z[j] * axis[2])
                x[j], y[j], z[j] = x[j] * scale, y[j] * scale, z[j] * scale
    return planes
