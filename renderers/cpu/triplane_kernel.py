"""Triplane lookup and its backward on CPU, compiled by numba on first use and cached.

Lookup: per point, 3 planes x 4 taps, indices and weights in registers, rows of C channels as
vectors. Backward: a work unit is one plane of one batch element; it is summed in float32 in a
scratch plane of its thread, so there are no conflicts and no atomics, and then written in the type
of the planes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from renderers.cpu.kernel_lanes import (
    SOURCE_STAMP,
    add_to_rows,
    compiled,
    fetch_add,
    floats_at,
    helper,
    prefetch_rows,
    weighted_rows,
)
from renderers.cpu.kernel_products import keep_taps, stack, sum_taps
from renderers.cpu.openmp import COUNTER, SLOTS, UNITS, call, launch, thread_count

POINTS_PER_UNIT = 1024
TAPS, TILE = 12, 24
"""Taps of a point; points whose taps are found first and asked for from memory, then summed."""
OFFSETS_BYTES, WEIGHTS_BYTES = 8 * TAPS * TILE, 4 * TAPS * TILE
ONE = np.float32(1.0)


@helper
def axis_taps(coordinate: Any, size: Any) -> Any:
    """Return the two cells around a coordinate and their weights, zero for cells outside."""
    place = coordinate * np.float32(0.5 * size) + np.float32(0.5 * size - 0.5)
    place = place if place > np.float32(-1.0) else np.float32(-1.0)  # NaN too, as in grid_sample
    place = min(place, np.float32(size))
    floor = np.floor(place)
    cell = np.int64(floor)
    upper = place - floor
    lower = np.float32(1.0) - upper if (cell >= 0) & (cell < size) else np.float32(0.0)
    upper = upper if cell + 1 < size else np.float32(0.0)
    return max(min(cell, size - 1), 0), max(min(cell + 1, size - 1), 0), lower, upper


@helper
def plane_taps(base: Any, row: Any, row_stride: Any, column: Any, column_stride: Any) -> Any:
    """Combine two axes into four offsets and four bilinear weights."""
    top, bottom = base + row[0] * row_stride, base + row[1] * row_stride
    left, right = column[0] * column_stride, column[1] * column_stride
    offsets = (top + left, top + right, bottom + left, bottom + right)
    return offsets, (row[2] * column[2], row[2] * column[3], row[3] * column[2], row[3] * column[3])


@helper
def point_taps(points: Any, n: Any, base: Any, strides: Any, height: Any, width: Any) -> Any:
    """Return the twelve offsets and weights of point n in the three planes of one batch element."""
    plane_stride, row_stride, column_stride = strides
    x_column, y_column = axis_taps(points[3 * n], width), axis_taps(points[3 * n + 1], width)
    y_row, z_row = axis_taps(points[3 * n + 1], height), axis_taps(points[3 * n + 2], height)
    xz, yz = base + plane_stride, base + 2 * plane_stride
    rows0, weights0 = plane_taps(base, y_row, row_stride, x_column, column_stride)
    rows1, weights1 = plane_taps(xz, z_row, row_stride, x_column, column_stride)
    rows2, weights2 = plane_taps(yz, z_row, row_stride, y_column, column_stride)
    return rows0 + rows1 + rows2, weights0 + weights1 + weights2


@helper
def find_taps(
    points: Any, first: Any, count: Any, geometry: Any, taps: Any, itemsize: Any, channels: Any
) -> None:
    """Write the taps of `count` points from `first` on, and ask for their rows from memory.

    geometry: table, base, strides, height, width; taps: addresses of TAPS * TILE int64 offsets and
    float32 weights.
    """
    table, base, strides, height, width = geometry
    for i in range(count):
        rows, weights = point_taps(points, first + i, base, strides, height, width)
        prefetch_rows(table, rows, itemsize, channels)
        keep_taps(taps[0], taps[1], i * TAPS, rows, weights)


@helper
def sum_tile(
    table: Any, itemsize: Any, taps: Any, count: Any, out: Any, row: Any, out_size: Any, width: Any
) -> None:
    """Write the sums over the taps of `count` points to rows of `width` from `row` on."""
    for i in range(count):
        sum_taps(table, itemsize, taps, i * TAPS, TAPS, out, (row + i) * width, out_size, width)


@helper
def unit_points(unit: Any, count: Any, units_per_batch: Any) -> Any:
    """Return the batch element of a work unit, its first point and the end of its points."""
    batch, inside = unit // units_per_batch, unit % units_per_batch
    first = batch * count + inside * POINTS_PER_UNIT
    return batch, first, min((batch + 1) * count, first + POINTS_PER_UNIT)


@cache
def lookup_kernel(channels: int, itemsize: int) -> Any:
    """Compile the lookup for rows of `channels` elements of `itemsize` bytes."""
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        table, batch_stride, strides, height, width = a[3], a[4], (a[5], a[6], a[7]), a[8], a[9]
        points, count, units_per_batch, out = carray(floats_at(a[10]), (1,)), a[11], a[12], a[13]
        taps = (stack(OFFSETS_BYTES), stack(WEIGHTS_BYTES))
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            batch, first, end = unit_points(unit, count, units_per_batch)
            geometry = (table, batch * batch_stride, strides, height, width)
            for n in range(first, end, TILE):
                rows = min(TILE, end - n)
                find_taps(points, n, rows, geometry, taps, itemsize, channels)
                sum_tile(table, itemsize, taps, rows, out, n, itemsize, channels)

    return kernel


@helper
def one_plane_taps(points: Any, n: Any, axes: Any, block: Any, height: Any, width: Any) -> Any:
    """Return the four offsets and weights of point n in one scratch plane (H, W, block)."""
    column, row = (
        axis_taps(points[3 * n + axes[0]], width),
        axis_taps(points[3 * n + axes[1]], height),
    )
    return plane_taps(0, row, width * block, column, block)


@cache
def scatter_kernel(channels: int, block: int, itemsize: int) -> Any:
    """Compile the backward of the lookup; `block` channels of a plane are one work unit."""
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        out, batch_stride, plane_stride, row_stride, column_stride = a[3], a[4], a[5], a[6], a[7]
        height, width, count, grad = a[8], a[9], a[11], a[12]
        points, size, blocks = (
            carray(floats_at(a[10]), (1,)),
            height * width * block,
            channels // block,
        )
        scratch = a[13] + fetch_add(a, SLOTS) * size * 4
        sums = carray(floats_at(scratch), (size,))
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            batch, plane, first = unit // (3 * blocks), unit // blocks % 3, unit % blocks * block
            axes = (plane // 2, min(plane + 1, 2))
            sums[:] = np.float32(0.0)
            for n in range(batch * count, (batch + 1) * count):
                rows, weights = one_plane_taps(points, n, axes, block, height, width)
                add_to_rows(grad, n * channels + first, itemsize, rows, weights, scratch, block)
            base = batch * batch_stride + plane * plane_stride + first
            for i in range(height):
                for j in range(width):
                    cell, place = (i * width + j) * block, base + i * row_stride + j * column_stride
                    weighted_rows(scratch, (cell,), (ONE,), 4, out, place, itemsize, block)

    return kernel


def as_rows(planes: Tensor) -> Tensor:
    """Return planes (B, 3, C, H, W) with adjacent channels in memory; a view if they are."""
    if planes.stride(2) == 1 or planes.shape[2] == 1:
        return planes
    return planes.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def geometry_of(planes: Tensor, points: Tensor) -> tuple[int, ...]:
    """Return the arguments with which the kernels begin: planes, strides, size, points."""
    batch, plane, _, row, column = planes.stride()
    height, width = planes.shape[-2:]
    return (
        planes.data_ptr(),
        batch,
        plane,
        row,
        column,
        height,
        width,
        points.data_ptr(),
        points.shape[1],
    )


def lookup(planes: Tensor, points: Tensor) -> Tensor:
    """Look up `as_rows` planes (B, 3, C, H, W) at contiguous float32 points: (B, N, C)."""
    out = torch.empty(*points.shape[:2], planes.shape[2], dtype=planes.dtype)
    kernel = lookup_kernel(planes.shape[2], planes.element_size())
    per_batch = -(-points.shape[1] // POINTS_PER_UNIT)
    launch(
        kernel, lookup_unit_count(points), *geometry_of(planes, points), per_batch, out.data_ptr()
    )
    return out


def lookup_unit_count(points: Tensor) -> int:
    """Return how many work units points (B, N, 3) make; no unit spans two batch elements."""
    return points.shape[0] * -(-points.shape[1] // POINTS_PER_UNIT)


def unit_start(points: Tensor, unit: int) -> int:
    """Return the first row of a work unit in points flattened to (B * N, 3)."""
    per_batch = -(-points.shape[1] // POINTS_PER_UNIT)
    batch, inside = divmod(unit, per_batch)
    return batch * points.shape[1] + inside * POINTS_PER_UNIT


def lookup_units(planes: Tensor, points: Tensor, out: Tensor, first: int, count: int) -> None:
    """Look up `count` units from `first` on, on this thread; `out` begins with its row."""
    channels, size = planes.shape[2], planes.element_size()
    per_batch = -(-points.shape[1] // POINTS_PER_UNIT)
    origin = out.data_ptr() - unit_start(points, first) * channels * size
    kernel = lookup_kernel(channels, size)
    call(kernel, count, *geometry_of(planes, points), per_batch, origin, first_unit=first)


def scatter(grad: Tensor, points: Tensor, like: Tensor) -> Tensor:
    """Return the gradient to planes laid out as `like`, for grad (B, N, C) of their type."""
    batch, _, channels, height, width = like.shape
    out = as_rows(torch.empty_like(like))
    # Whole rows save index arithmetic; blocks of them keep all threads busy when planes are few.
    few = batch * 3 < 2 * thread_count(batch * 3 * channels)
    block = 16 if few and channels % 16 == 0 else channels
    units = batch * 3 * (channels // block)
    scratch = torch.empty(thread_count(units), height * width * block, dtype=torch.float32)
    kernel = scatter_kernel(channels, block, like.element_size())
    launch(kernel, units, *geometry_of(out, points), grad.data_ptr(), scratch.data_ptr())
    return out
