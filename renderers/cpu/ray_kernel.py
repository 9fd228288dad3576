"""Sampling and integration along rays on CPU, one ray at a time, in registers and first-level
cache.

The formulas are those of `ray_sampling` and `volume_integration`; as whole-tensor operations they
are fifty passes over memory, here they are three.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from renderers.cpu.kernel_lanes import SOURCE_STAMP, compiled, fetch_add, floats_at, helper
from renderers.cpu.openmp import COUNTER, UNITS, launch

RAYS_PER_UNIT = 64
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@helper
def interval_end(t: Any, i: Any, count: Any, far: Any) -> Any:
    """Return where the interval of sample i ends: halfway to the next sample, or the far bound."""
    return HALF * (t[i] + t[i + 1]) if i + 1 < count else far


@helper
def ray_weights(density: Any, t: Any, near: Any, far: Any, opaque: Any, weights: Any) -> None:
    """Write the integration weights of one ray."""
    count = len(t)
    start, transmittance = near, ONE
    for i in range(count):
        stop = interval_end(t, i, count, far)
        passed = np.float32(math.exp(-density[i] * max(stop - start, ZERO)))
        weights[i] = transmittance * (ONE - passed)
        if opaque and i == count - 1:
            weights[i] = transmittance
        transmittance *= passed
        start = stop


@helper
def smooth(weights: Any, padding: Any) -> None:
    """Replace weights by the mean of the maxima with either neighbour, plus padding."""
    count = len(weights)
    left = weights[0]  # the maximum of the previous pair
    for i in range(count):
        right = max(weights[i], weights[i + 1]) if i + 1 < count else weights[i]
        weights[i] = HALF * (left + right) + padding
        left = right


@helper
def invert_histogram(positions: Any, weights: Any, levels: Any, out: Any) -> None:
    """Write the positions at which the cumulated histogram reaches ascending levels in [0, 1)."""
    count = len(weights)
    total = ZERO
    for i in range(count):
        total += weights[i]
    i, below, start = 0, ZERO, ZERO
    for k in range(len(levels)):
        goal = levels[k] * total
        while i < count - 1 and below + weights[i] <= goal:
            below += weights[i]
            start = HALF * (positions[i] + positions[i + 1])
            i += 1
        stop = HALF * (positions[i] + positions[i + 1]) if i + 1 < count else ONE
        fraction = min(max((goal - below) / weights[i], ZERO), ONE)
        out[k] = start + fraction * (stop - start)


@cache
def importance_kernel() -> Any:
    """Compile the way from coarse densities to fine positions."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rays, coarse, fine, opaque = a[3], a[4], a[5], a[6]
        density, t = (
            carray(floats_at(a[7]), (rays, coarse)),
            carray(floats_at(a[8]), (rays, coarse)),
        )
        positions = carray(floats_at(a[9]), (rays, coarse))
        near, far = floats_at(a[10]), floats_at(a[11])
        levels, out = carray(floats_at(a[12]), (rays, fine)), carray(floats_at(a[13]), (rays, fine))
        padding = np.float32(floats_at(a[14])[0])
        weights = np.empty(coarse, np.float32)
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for r in range(unit * RAYS_PER_UNIT, min(rays, (unit + 1) * RAYS_PER_UNIT)):
                ray_weights(density[r], t[r], near[r], far[r], opaque != 0, weights)
                smooth(weights, padding)
                invert_histogram(positions[r], weights, levels[r], out[r])

    return kernel


def addresses(*tensors: Tensor) -> tuple[int, ...]:
    """Return where the tensors begin in memory; the caller keeps them alive."""
    return tuple(tensor.data_ptr() for tensor in tensors)


def importance(
    density: Tensor,
    t: Tensor,
    positions: Tensor,
    near: Tensor,
    far: Tensor,
    levels: Tensor,
    padding: float,
    opaque: bool,
) -> Tensor:
    """Return fine positions at `levels` (B, R, F), given coarse samples (B, R, S), float32."""
    batch, rays, coarse = t.shape
    out = torch.empty_like(levels)
    constants = torch.tensor([padding])
    launch(
        importance_kernel(),
        -(-batch * rays // RAYS_PER_UNIT),
        *(batch * rays, coarse, levels.shape[-1], int(opaque)),
        *addresses(density, t, positions, near, far, levels, out, constants),
    )
    return out
