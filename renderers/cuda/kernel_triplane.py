"""Lookup in channels-last planes and its adjoint, for a tile of points, in Triton."""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def corner(position, size):
    """Return the lower texel of coordinates in [-1, 1], and how far on they are, in texels.

    Far outside they stop two texels beyond the border, so that they stay integers.
    """
    texel = (position + 1.0) * (0.5 * size) - 0.5
    texel = tl.minimum(tl.maximum(texel, -2.0), size + 1.0)
    low = tl.floor(texel)
    return low.to(tl.int32), texel - low


@triton.jit
def taps(u, v, rows, H, W, TAP: tl.constexpr):
    """Return index in the plane, weight and validity of one of the four taps of each point."""
    left, along = corner(u, W)
    top, down = corner(v, H)
    column = left + TAP % 2
    row = top + TAP // 2
    weight = (along if TAP % 2 == 1 else 1.0 - along) * (down if TAP // 2 == 1 else 1.0 - down)
    valid = rows & (column >= 0) & (column < W) & (row >= 0) & (row < H)
    return row * W + column, weight, valid


@triton.jit
def lookup(planes, x, y, z, rows, H, W, C: tl.constexpr, CP: tl.constexpr):
    """Return the summed features (M, CP) float32 of points (M); those not in `rows` are zero.

    planes: pointer to (3, H, W, C) of one scene.
    """
    channels = tl.arange(0, CP)[None, :]
    total = tl.zeros((x.shape[0], CP), tl.float32)
    for plane in range(3):
        u = tl.where(plane == 2, y, x)
        v = tl.where(plane == 0, y, z)
        base = planes + tl.cast(plane * C, tl.int64) * H * W
        for tap in tl.static_range(4):
            texel, weight, valid = taps(u, v, rows, H, W, tap)
            mask = valid[:, None] & (channels < C)
            values = tl.load(base + texel[:, None] * C + channels, mask=mask, other=0.0)
            total += weight[:, None] * values.to(tl.float32)
    return total


@triton.jit
def scatter(d_planes, gradient, x, y, z, rows, H, W, C: tl.constexpr, CP: tl.constexpr):
    """Add the gradient (M, CP) of what `lookup` returns to that of the planes, float32."""
    channels = tl.arange(0, CP)[None, :]
    for plane in range(3):
        u = tl.where(plane == 2, y, x)
        v = tl.where(plane == 0, y, z)
        base = d_planes + tl.cast(plane * C, tl.int64) * H * W
        for tap in tl.static_range(4):
            texel, weight, valid = taps(u, v, rows, H, W, tap)
            mask = valid[:, None] & (channels < C)
            place = base + texel[:, None] * C + channels
            tl.atomic_add(place, weight[:, None] * gradient, mask=mask, sem="relaxed")
