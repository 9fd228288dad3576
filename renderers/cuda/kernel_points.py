"""Triplane lookup and MLP at points, forward and backward, in Triton."""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import triton
import triton.language as tl

from renderers.cuda.kernel_layers import (
    backward_layers,
    forward_features,
    forward_layers,
    load_layers,
    store_gradients,
    zero_gradients,
)
from renderers.cuda.kernel_triplane import lookup, scatter


@triton.jit
def load_points(points, scene, first, N, M: tl.constexpr):
    """Return the places (M) of points among all, which are there, and their coordinates."""
    index = first + tl.arange(0, M)
    rows = index < N
    index = scene.to(tl.int64) * N + index
    x = tl.load(points + index * 3, mask=rows, other=0.0)
    y = tl.load(points + index * 3 + 1, mask=rows, other=0.0)
    z = tl.load(points + index * 3 + 2, mask=rows, other=0.0)
    return index, rows, x, y, z


@triton.jit(do_not_specialize=["N", "H", "W"])
def points_forward(
    planes,
    points,
    weights,
    logits,
    features,
    N,
    H,
    W,
    C: tl.constexpr,
    K: tl.constexpr,
    F: tl.constexpr,
    MIDDLE: tl.constexpr,
    CP: tl.constexpr,
    KP: tl.constexpr,
    FP: tl.constexpr,
    SIGMOID: tl.constexpr,
    PRECISION: tl.constexpr,
    M: tl.constexpr,
):
    """Write logits (B, N) and features (B, N, F); a program takes M points of a scene.

    planes: (B, 3, H, W, C); points: (B, N, 3); weights: see `load_layers`.
    """
    kind: tl.constexpr = planes.dtype.element_ty
    scene = tl.program_id(0) // tl.cdiv(N, M)
    first = tl.program_id(0) % tl.cdiv(N, M) * M
    index, rows, x, y, z = load_points(points, scene, first, N, M)
    layers = load_layers(weights, kind, C, K, F, MIDDLE, CP, KP, FP)
    of_scene = planes + scene.to(tl.int64) * 3 * H * W * C
    inputs = lookup(of_scene, x, y, z, rows, H, W, C, CP).to(kind)
    values, found = forward_layers(inputs, layers, MIDDLE, PRECISION)
    tl.store(logits + index, found, mask=rows)
    seen = forward_features(values[1 + MIDDLE], layers, SIGMOID, PRECISION)
    column = tl.arange(0, FP)[None, :]
    mask = rows[:, None] & (column < F)
    tl.store(features + index[:, None] * F + column, seen.to(kind), mask=mask)


@triton.jit(do_not_specialize=["N", "H", "W", "tiles", "size"])
def points_backward(
    planes,
    points,
    weights,
    d_logits,
    d_features,
    d_planes,
    d_weights,
    N,
    H,
    W,
    tiles,
    size,
    C: tl.constexpr,
    K: tl.constexpr,
    F: tl.constexpr,
    MIDDLE: tl.constexpr,
    CP: tl.constexpr,
    KP: tl.constexpr,
    FP: tl.constexpr,
    SIGMOID: tl.constexpr,
    PRECISION: tl.constexpr,
    M: tl.constexpr,
):
    """Add to d_planes (B, 3, H, W, C) float32; and to a row of d_weights (programs, size).

    A program takes every so many-th of the tiles of M points.
    """
    kind: tl.constexpr = planes.dtype.element_ty
    layers = load_layers(weights, kind, C, K, F, MIDDLE, CP, KP, FP)
    sums = zero_gradients(MIDDLE, CP, KP, FP)
    row = d_weights + tl.program_id(0) * size
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        scene = tile // tl.cdiv(N, M)
        index, rows, x, y, z = load_points(points, scene, tile % tl.cdiv(N, M) * M, N, M)
        plane = scene.to(tl.int64) * 3 * H * W * C
        inputs = lookup(planes + plane, x, y, z, rows, H, W, C, CP).to(kind)
        values, _ = forward_layers(inputs, layers, MIDDLE, PRECISION)
        column = tl.arange(0, FP)[None, :]
        mask = rows[:, None] & (column < F)
        d_out = tl.load(d_features + index[:, None] * F + column, mask=mask, other=0.0)
        d_out = d_out.to(tl.float32)
        if SIGMOID:
            seen = forward_features(values[1 + MIDDLE], layers, SIGMOID, PRECISION)
            d_out *= seen * (1.0 - seen)
        d_logit = tl.load(d_logits + index, mask=rows, other=0.0)
        gradient, sums = backward_layers(
            values, layers, sums, d_logit, d_out, row, C, K, F, MIDDLE, KP, FP, PRECISION
        )
        scatter(d_planes + plane, gradient, x, y, z, rows, H, W, C, CP)
    store_gradients(row, sums, C, K, F, MIDDLE, CP, KP, FP)
