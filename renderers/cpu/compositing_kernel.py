"""Weighted sums of bfloat16 or float32 rows along rays, and their backward, on CPU."""

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
    dot_rows,
    fetch_add,
    floats_at,
    weighted_rows,
)
from renderers.cpu.openmp import COUNTER, UNITS, launch

RAYS_PER_UNIT = 32


@cache
def composite_kernel(channels: int, itemsize: int) -> Any:
    """Compile out[r] = sum_s weights[r, s] features[r, s]."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rays, samples, features, out = a[3], a[4], a[6], a[7]
        weights = carray(floats_at(a[5]), (1,))
        sums = carray(floats_at(out), (1,))
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for ray in range(unit * RAYS_PER_UNIT, min(rays, (unit + 1) * RAYS_PER_UNIT)):
                row = ray * channels
                for c in range(channels):
                    sums[row + c] = np.float32(0.0)
                for n in range(ray * samples, (ray + 1) * samples):
                    add_to_rows(
                        features, n * channels, itemsize, (row,), (weights[n],), out, channels
                    )

    return kernel


@cache
def composite_backward_kernel(channels: int, itemsize: int) -> Any:
    """Compile d_weights[r, s] = <grad[r], features[r, s]>, d_features = weights[r, s] grad[r]."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rays, samples, features, grad, d_features = a[3], a[4], a[6], a[7], a[9]
        weights = carray(floats_at(a[5]), (1,))
        d_weights = carray(floats_at(a[8]), (1,))
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for ray in range(unit * RAYS_PER_UNIT, min(rays, (unit + 1) * RAYS_PER_UNIT)):
                row = ray * channels
                for n in range(ray * samples, (ray + 1) * samples):
                    place = n * channels
                    d_weights[n] = dot_rows(features, place, itemsize, grad, row, channels)
                    weighted_rows(
                        grad, (row,), (weights[n],), 4, d_features, place, itemsize, channels
                    )

    return kernel


def composite_forward(weights: Tensor, features: Tensor) -> Tensor:
    """Composite contiguous weights (B, R, S) float32, features (B, R, S, C) to (B, R, C)."""
    batch, rays, samples, channels = features.shape
    out = torch.empty(batch, rays, channels)
    launch(
        composite_kernel(channels, features.element_size()),
        -(-batch * rays // RAYS_PER_UNIT),
        *(batch * rays, samples, weights.data_ptr(), features.data_ptr(), out.data_ptr()),
    )
    return out


def composite_backward(weights: Tensor, features: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients to weights and features for a contiguous float32 grad (B, R, C)."""
    batch, rays, samples, channels = features.shape
    d_weights, d_features = torch.empty_like(weights), torch.empty_like(features)
    launch(
        composite_backward_kernel(channels, features.element_size()),
        -(-batch * rays // RAYS_PER_UNIT),
        *(batch * rays, samples, weights.data_ptr(), features.data_ptr(), grad.data_ptr()),
        *(d_weights.data_ptr(), d_features.data_ptr()),
    )
    return d_weights, d_features
