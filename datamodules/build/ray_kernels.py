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
    planes = _planes(pixels)
    for most in grids:
        nodes = np.empty((min(most, height), 3, min(most, width)), np.float32)
        row, next_row, down = _places(height, nodes.shape[0])
        column, next_column, across = _places(width, nodes.shape[2])
        for i in range(nodes.shape[0]):
            upper, lower = planes[row[i]], planes[next_row[i]]
            _line(upper, lower, down[i], column, next_column, across, nodes[i])
            if is_unit:
                _to_unit(nodes[i])
        if _fits(nodes, planes, tolerance * tolerance, is_unit):
            return _vectors(nodes)
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
def _planes(vectors: np.ndarray) -> np.ndarray:
    """Vectors (H, W, 3) as (H, 3, W), which loops along a row go through in order."""
    planes = np.empty((len(vectors), 3, vectors.shape[1]), np.float32)
    for i in range(len(planes)):
        for j in range(planes.shape[2]):
            for k in range(3):
                planes[i, k, j] = vectors[i, j, k]
    return planes


@njit
def _vectors(planes: np.ndarray) -> np.ndarray:
    """Vectors (H, W, 3) of planes (H, 3, W)."""
    vectors = np.empty((len(planes), planes.shape[2], 3), np.float32)
    for i in range(len(planes)):
        for j in range(planes.shape[2]):
            for k in range(3):
                vectors[i, j, k] = planes[i, k, j]
    return vectors


@njit
def _line(
    upper: np.ndarray,
    lower: np.ndarray,
    down: float,
    column: np.ndarray,
    next_column: np.ndarray,
    across: np.ndarray,
    line: np.ndarray,
) -> None:
    """Fill a line (3, n) with bilinear vectors between two rows (3, w)."""
    between = np.empty(upper.shape[1], np.float32)
    for k in range(3):
        for j in range(len(between)):
            between[j] = upper[k, j] + down * (lower[k, j] - upper[k, j])
        for j in range(line.shape[1]):
            start = between[column[j]]
            line[k, j] = start + across[j] * (between[next_column[j]] - start)


@njit
def _to_unit(line: np.ndarray) -> None:
    """Scale vectors (3, n) to length 1."""
    for j in range(line.shape[1]):
        x, y, z = line[0, j], line[1, j], line[2, j]
        scale = np.float32(1) / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-30)))
        line[0, j], line[1, j], line[2, j] = x * scale, y * scale, z * scale


@njit
def _fits(nodes: np.ndarray, planes: np.ndarray, limit: float, is_unit: bool) -> bool:
    """Whether nodes (h, 3, w) give all vectors of planes (H, 3, W) back up to a squared
    difference."""
    height, _, width = planes.shape
    row, next_row, down = _places(nodes.shape[0], height)
    column, next_column, across = _places(nodes.shape[2], width)
    line = np.empty((3, width), np.float32)
    for i in range(height):
        _line(nodes[row[i]], nodes[next_row[i]], down[i], column, next_column, across, line)
        if is_unit:
            _to_unit(line)
        worst = np.float32(0)
        for j in range(width):
            x, y, z = planes[i, 0, j], planes[i, 1, j], planes[i, 2, j]
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
    is_direction = axis.any()
    planes = _planes(values)
    if is_direction:
        for i in range(len(planes)):
            _to_plane(planes[i], axis)
    found = np.empty((len(row), 3, len(column)), np.float32)
    for i in range(len(row)):
        upper, lower = planes[row[i]], planes[next_row[i]]
        _line(upper, lower, row_weight[i], column, next_column, column_weight, found[i])
        if is_direction:
            _to_unit(found[i])
    return _vectors(found)


@njit
def _to_plane(line: np.ndarray, axis: np.ndarray) -> None:
    """Scale vectors (3, n) to length 1 along an axis (3,)."""
    for j in range(line.shape[1]):
        x, y, z = line[0, j], line[1, j], line[2, j]
        scale = np.float32(1) / (x * axis[0] + y * axis[1] + z * axis[2])
        line[0, j], line[1, j], line[2, j] = x * scale, y * scale, z * scale
