"""Rendering of a field along rays, from lookup to sums, forward and backward, in Triton.

A program takes M rays and goes through their samples one after the other, so that neighbouring
rays read neighbouring texels. The forward goes from near to far and ends where nothing shines
through; the backward comes back from there, computes every sample again, and takes from the optical
depth what the forward added to it.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import triton
import triton.language as tl

from renderers.cuda.kernel_layers import (
    backward_layers,
    forward_features,
    forward_layers,
    load_layers,
    sigmoid,
    store_gradients,
    zero_gradients,
)
from renderers.cuda.kernel_triplane import lookup, scatter

DEEPEST = tl.constexpr(20.0)
"""Optical depth at which a ray ends: 2e-9 of its light is left."""
DENSEST = tl.constexpr(40.0)
"""Optical depth of a sample at most: what is added to a ray must be precise to take away again."""


@triton.jit
def precise_softplus(x):
    """Return log(1 + exp(x)), small values to the last digits: densities add up."""
    power = tl.exp(-tl.abs(x))
    whole = 1.0 + power
    # log(whole) / (whole - 1) forgives the rounding of the sum (Kahan).
    added = tl.where(whole == 1.0, 1.0, whole - 1.0)
    ratio = tl.where(whole == 1.0, 1.0, tl.log(whole) / added)
    return tl.maximum(x, 0.0) + ratio * power


@triton.jit
def load_rays(origins, directions, near, far, scale, tile, R, M: tl.constexpr):
    """Return scene, places (M) of rays among all, which are there, their lines in units of the
    cube, and their intervals."""
    scene = tile // tl.cdiv(R, M)
    ray = tile % tl.cdiv(R, M) * M + tl.arange(0, M)
    rows = ray < R
    index = scene.to(tl.int64) * R + ray
    line = ()
    for part in tl.static_range(2):
        for axis in tl.static_range(3):
            pointer = (directions if part == 1 else origins) + index * 3 + axis
            value = tl.load(pointer, mask=rows, other=0.0) / tl.load(scale + scene * 3 + axis)
            line = line + (value,)  # noqa: RUF005
    start = tl.load(near + index, mask=rows, other=0.0)
    stop = tl.load(far + index, mask=rows, other=0.0)
    return scene, index, rows, line, start, stop


@triton.jit
def cube_points(line, t, contracted):
    """Return x, y, z in the cube, (M) each, of points at distances t (M) along rays."""
    x = line[0] + t * line[3]
    y = line[1] + t * line[4]
    z = line[2] + t * line[5]
    norm = tl.maximum(tl.maximum(tl.abs(x), tl.abs(y)), tl.maximum(tl.abs(z), 1.0))
    factor = tl.where(contracted != 0, (1.0 - 0.5 / norm) / norm, 1.0)
    return x * factor, y * factor, z * factor


@triton.jit
def sample_field(
    planes, layers, x, y, z, rows, H, W, bias, slope, C: tl.constexpr, CP: tl.constexpr,
    MIDDLE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Return inputs and hidden layers of the MLP at points, and the density's argument (M)."""
    inputs = lookup(planes, x, y, z, rows, H, W, C, CP).to(planes.dtype.element_ty)
    values, logits = forward_layers(inputs, layers, MIDDLE, PRECISION)
    return values, logits + bias - slope * z


@triton.jit
def optical_depth(argument, length):
    """Return what a sample adds to the optical depth of its ray, NaN where it is NaN."""
    depth = precise_softplus(argument) * length
    return tl.where(depth > DENSEST, DENSEST, depth)


@triton.jit(do_not_specialize=["contracted", "opaque", "R", "S", "H", "W"])
def rays_forward(
    planes, weights, origins, directions, near, far, scale, t, sample_weights, rgb, sums, ends,
    counts, bias, slope, contracted, opaque, R, S, H, W,
    C: tl.constexpr, K: tl.constexpr, F: tl.constexpr, MIDDLE: tl.constexpr, CP: tl.constexpr,
    KP: tl.constexpr, FP: tl.constexpr, SIGMOID: tl.constexpr, PRECISION: tl.constexpr,
    M: tl.constexpr, FEATURES: tl.constexpr,
):  # fmt: skip
    """Write the weights (B, R, S) of samples at t (B, R, S), where they are not zero.

    With FEATURES also, of every ray, rgb (B, R, F), sums of depth, disparity and weights (B, R, 3),
    and for the backward its optical depth `ends` and the number `counts` of samples that count.
    """
    loaded = load_rays(origins, directions, near, far, scale, tl.program_id(0), R, M)
    scene, index, rows, line, start, stop = loaded
    layers = load_layers(weights, planes.dtype.element_ty, C, K, F, MIDDLE, CP, KP, FP)
    of_scene = planes + scene.to(tl.int64) * 3 * H * W * C
    total = tl.zeros((M, FP), tl.float32)
    depth = tl.zeros((M,), tl.float32)
    disparity = tl.zeros((M,), tl.float32)
    opacity = tl.zeros((M,), tl.float32)
    passed = tl.zeros((M,), tl.float32)
    count = tl.zeros((M,), tl.int32)
    here = tl.load(t + index * S, mask=rows, other=1.0)
    lower, alive, sample = start, rows, 0
    while (sample < S) & (tl.max(alive.to(tl.int32)) > 0):
        more = sample + 1 < S
        after = tl.load(t + index * S + sample + 1, mask=rows & more, other=1.0)
        upper = tl.where(more, 0.5 * (here + after), stop)
        x, y, z = cube_points(line, here, contracted)
        values, argument = sample_field(
            of_scene, layers, x, y, z, alive, H, W, bias, slope, C, CP, MIDDLE, PRECISION
        )
        optical = optical_depth(argument, tl.maximum(upper - lower, 0.0))
        left = tl.exp(-passed)
        weight = left * (1.0 - tl.exp(-optical))
        weight = tl.where((opaque != 0) & (sample == S - 1), left, weight)
        weight = tl.where(alive, weight, 0.0)
        tl.store(sample_weights + index * S + sample, weight, mask=rows)
        if FEATURES:
            seen = forward_features(values[1 + MIDDLE], layers, SIGMOID, PRECISION)
            total += weight[:, None] * seen
            depth += weight * here
            disparity += weight / here
            opacity += weight
        passed = tl.where(alive, passed + optical, passed)
        count = tl.where(alive, sample + 1, count)
        alive = alive & (passed < DEEPEST)
        lower = upper
        here = after
        sample += 1
    if FEATURES:
        column = tl.arange(0, FP)[None, :]
        tl.store(rgb + index[:, None] * F + column, total, mask=rows[:, None] & (column < F))
        tl.store(sums + index * 3, depth, mask=rows)
        tl.store(sums + index * 3 + 1, disparity, mask=rows)
        tl.store(sums + index * 3 + 2, opacity, mask=rows)
        tl.store(ends + index, passed, mask=rows)
        tl.store(counts + index, count, mask=rows)


@triton.jit(
    do_not_specialize=["contracted", "opaque", "weighted", "R", "S", "H", "W", "tiles", "size"]
)
def rays_backward(
    planes, weights, origins, directions, near, far, scale, t, ends, counts, d_sample_weights,
    d_rgb, d_sums, d_planes, d_weights, bias, slope, contracted, opaque, weighted, R, S, H, W,
    tiles, size,
    C: tl.constexpr, K: tl.constexpr, F: tl.constexpr, MIDDLE: tl.constexpr, CP: tl.constexpr,
    KP: tl.constexpr, FP: tl.constexpr, SIGMOID: tl.constexpr, PRECISION: tl.constexpr,
    M: tl.constexpr,
):  # fmt: skip
    """Add to d_planes (B, 3, H, W, C) float32 and to a row of d_weights (programs, size).

    d_sample_weights: (B, R, S), read if `weighted`; d_rgb: (B, R, F); d_sums: (B, R, 3).
    """
    layers = load_layers(weights, planes.dtype.element_ty, C, K, F, MIDDLE, CP, KP, FP)
    sums = zero_gradients(MIDDLE, CP, KP, FP)
    row = d_weights + tl.program_id(0) * size
    column = tl.arange(0, FP)[None, :]
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        loaded = load_rays(origins, directions, near, far, scale, tile, R, M)
        scene, index, rows, line, start, stop = loaded
        plane = scene.to(tl.int64) * 3 * H * W * C
        mask = rows[:, None] & (column < F)
        d_color = tl.load(d_rgb + index[:, None] * F + column, mask=mask, other=0.0)
        d_depth = tl.load(d_sums + index * 3, mask=rows, other=0.0)
        d_disparity = tl.load(d_sums + index * 3 + 1, mask=rows, other=0.0)
        d_opacity = tl.load(d_sums + index * 3 + 2, mask=rows, other=0.0)
        passed = tl.load(ends + index, mask=rows, other=0.0)
        count = tl.load(counts + index, mask=rows, other=0)
        last = tl.max(count)
        here = tl.load(t + index * S + last - 1, mask=rows, other=1.0)
        after = tl.load(t + index * S + last, mask=rows & (last < S), other=1.0)
        upper = tl.where(last < S, 0.5 * (here + after), stop)
        behind = tl.zeros((M,), tl.float32)  # of the loss, by the samples behind
        for step in range(last):
            sample = last - 1 - step
            before = tl.load(t + index * S + sample - 1, mask=rows & (sample > 0), other=1.0)
            lower = tl.where(sample > 0, 0.5 * (before + here), start)
            length = tl.maximum(upper - lower, 0.0)
            counted = sample < count
            x, y, z = cube_points(line, here, contracted)
            values, argument = sample_field(
                planes + plane, layers, x, y, z, counted, H, W, bias, slope, C, CP, MIDDLE,
                PRECISION,
            )  # fmt: skip
            seen = forward_features(values[1 + MIDDLE], layers, SIGMOID, PRECISION)
            optical = tl.where(counted, optical_depth(argument, length), 0.0)
            left = tl.exp(-passed)
            passed -= optical
            through = tl.exp(-passed)
            weight = through * (1.0 - tl.exp(-optical))
            value = tl.sum(d_color * seen, 1) + d_depth * here + d_disparity / here + d_opacity
            given = d_sample_weights + index * S + sample
            value += tl.load(given, mask=rows & (weighted != 0), other=0.0)
            d_density = length * (left * value - behind)
            ends_here = (opaque != 0) & (sample == S - 1)
            weight = tl.where(ends_here, through, weight)
            d_density = tl.where(ends_here, 0.0, d_density)
            weight = tl.where(counted, weight, 0.0)
            behind += weight * value
            d_logits = tl.where(counted, d_density * sigmoid(argument), 0.0)
            d_features = weight[:, None] * d_color
            if SIGMOID:
                d_features *= seen * (1.0 - seen)
            gradient, sums = backward_layers(
                values, layers, sums, d_logits, d_features, row, C, K, F, MIDDLE, KP, FP, PRECISION
            )
            scatter(d_planes + plane, gradient, x, y, z, counted, H, W, C, CP)
            upper = lower
            here = before
    store_gradients(row, sums, C, K, F, MIDDLE, CP, KP, FP)
