"""Merging and integration along rays on CPU, and their backward, one ray at a time.

The formulas are those of `volume_integration`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from renderers.cpu.kernel_lanes import SOURCE_STAMP, compiled, fetch_add, floats_at, helper
from renderers.cpu.openmp import COUNTER, UNITS, launch
from renderers.cpu.ray_kernel import HALF, ONE, RAYS_PER_UNIT, ZERO, addresses, ray_weights


@helper
def merge(first: Any, second: Any, t: Any, source: Any) -> None:
    """Merge ascending lists into t; source[i] is the place of t[i] in their concatenation."""
    i, j, split = 0, 0, len(first)
    for k in range(len(t)):
        if j == len(second) or (i < split and first[i] <= second[j]):
            t[k], source[k] = first[i], i
            i += 1
        else:
            t[k], source[k] = second[j], split + j
            j += 1


@helper
def gather(first: Any, second: Any, source: Any, values: Any) -> None:
    """Read values in merged order."""
    split = len(first)
    for i in range(len(values)):
        k = int(source[i])
        values[i] = first[k] if k < split else second[k - split]


@helper
def unmerge(values: Any, source: Any, first: Any, second: Any) -> None:
    """Write merged values back to where they came from."""
    split = len(first)
    for i in range(len(values)):
        k = int(source[i])
        if k < split:
            first[k] = values[i]
        else:
            second[k - split] = values[i]


@helper
def ray_sums(weights: Any, t: Any, far: Any) -> Any:
    """Return opacity, expected distance and expected disparity, the residual counted at far."""
    opacity, depth, disparity = ZERO, ZERO, ZERO
    for i in range(len(t)):
        opacity += weights[i]
        depth += weights[i] * t[i]
        disparity += weights[i] / t[i]
    return opacity, depth + (ONE - opacity) * far, disparity + (ONE - opacity) / far


@helper
def density_gradient(weights: Any, grad: Any, t: Any, near: Any, far: Any) -> None:
    """Turn the gradient to the weights of a ray into the gradient to its densities, in place.

    With w_i = T_i (1 - e_i), e_i = exp(-sigma_i delta_i), and g_i the gradient to w_i:
    d_sigma_i = delta_i (g_i T_{i+1} - sum_{j>i} g_j w_j), where T_{i+1} = 1 - sum_{j<=i} w_j.
    """
    passed, behind, stop = ONE, ZERO, far
    for i in range(len(t)):
        passed -= weights[i]
    for i in range(len(t) - 1, -1, -1):
        start = HALF * (t[i - 1] + t[i]) if i > 0 else near
        g = grad[i]
        grad[i] = max(stop - start, ZERO) * (g * max(passed, ZERO) - behind)
        passed, behind, stop = passed + weights[i], behind + g * weights[i], start


@cache
def integrate_kernel() -> Any:
    """Compile: merge, weights in both orders, opacity, depth and disparity."""
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rays, coarse, fine, opaque = a[3], a[4], a[5], a[6] != 0
        total = coarse + fine
        density_c = carray(floats_at(a[7]), (rays, coarse))
        t_c = carray(floats_at(a[8]), (rays, coarse))
        density_f, t_f = (
            carray(floats_at(a[9]), (rays, fine)),
            carray(floats_at(a[10]), (rays, fine)),
        )
        near, far = floats_at(a[11]), floats_at(a[12])
        t, source = carray(floats_at(a[13]), (rays, total)), carray(floats_at(a[14]), (rays, total))
        weights = carray(floats_at(a[15]), (rays, total))
        weights_c = carray(floats_at(a[16]), (rays, coarse))
        weights_f = carray(floats_at(a[17]), (rays, fine))
        sums = carray(floats_at(a[18]), (3, rays))
        density = np.empty(total, np.float32)
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for r in range(unit * RAYS_PER_UNIT, min(rays, (unit + 1) * RAYS_PER_UNIT)):
                merge(t_c[r], t_f[r], t[r], source[r])
                gather(density_c[r], density_f[r], source[r], density)
                ray_weights(density, t[r], near[r], far[r], opaque, weights[r])
                unmerge(weights[r], source[r], weights_c[r], weights_f[r])
                sums[0, r], sums[1, r], sums[2, r] = ray_sums(weights[r], t[r], far[r])

    return kernel


@cache
def integrate_backward_kernel() -> Any:
    """Compile the gradient of `integrate_kernel` to both densities."""
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rays, coarse, fine, near, far = a[3], a[4], a[5], floats_at(a[6]), floats_at(a[7])
        total = coarse + fine
        t, source = carray(floats_at(a[8]), (rays, total)), carray(floats_at(a[9]), (rays, total))
        weights = carray(floats_at(a[10]), (rays, total))
        d_weights = carray(floats_at(a[11]), (rays, total))
        # Gradients to the unmerged weights come in here, gradients to the densities go out.
        coarse_grad = carray(floats_at(a[12]), (rays, coarse))
        fine_grad = carray(floats_at(a[13]), (rays, fine))
        d_opacity, d_depth, d_disparity = floats_at(a[14]), floats_at(a[15]), floats_at(a[16])
        grad = np.empty(total, np.float32)
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for r in range(unit * RAYS_PER_UNIT, min(rays, (unit + 1) * RAYS_PER_UNIT)):
                gather(coarse_grad[r], fine_grad[r], source[r], grad)
                for i in range(total):
                    grad[i] += d_weights[r, i] + d_opacity[r] + d_depth[r] * (t[r, i] - far[r])
                    grad[i] += d_disparity[r] * (ONE / t[r, i] - ONE / far[r])
                density_gradient(weights[r], grad, t[r], near[r], far[r])
                unmerge(grad, source[r], coarse_grad[r], fine_grad[r])

    return kernel


def integrate_forward(
    density_c: Tensor,
    density_f: Tensor,
    t_c: Tensor,
    t_f: Tensor,
    near: Tensor,
    far: Tensor,
    opaque: bool,
) -> tuple[Tensor, ...]:
    """Return t, source, weights, weights_c, weights_f and (opacity, depth, disparity)."""
    batch, rays, coarse = t_c.shape
    fine = t_f.shape[-1]
    # Separate tensors: saved together, a view would keep all three alive.
    t, source, weights = (torch.empty(batch, rays, coarse + fine) for _ in range(3))
    weights_c, weights_f = torch.empty_like(t_c), torch.empty_like(t_f)
    sums = torch.empty(3, batch, rays)
    launch(
        integrate_kernel(),
        -(-batch * rays // RAYS_PER_UNIT),
        *(batch * rays, coarse, fine, int(opaque)),
        *addresses(density_c, t_c, density_f, t_f, near, far),
        *addresses(t, source, weights, weights_c, weights_f, sums),
    )
    return t, source, weights, weights_c, weights_f, sums


def integrate_backward(
    saved: tuple[Tensor, ...], grads: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Return gradients to coarse and fine densities.

    saved: near, far, t, source, weights; grads: to weights, coarse weights, fine weights, opacity,
    depth, disparity.
    """
    d_weights, coarse, fine = grads[0], grads[1].clone(), grads[2].clone()
    batch, rays, count = coarse.shape
    launch(
        integrate_backward_kernel(),
        -(-batch * rays // RAYS_PER_UNIT),
        *(batch * rays, count, fine.shape[-1]),
        *addresses(*saved, d_weights, coarse, fine, *grads[3:]),
    )
    return coarse, fine
