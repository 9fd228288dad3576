"""Importance sampling: fine samples where the weights of the coarse ones are."""

from __future__ import annotations

import torch
from torch import Tensor

from renderers.bounds import Bounds
from renderers.dispatch import fast_path, kernels
from renderers.ray_sampling import (
    RaySampling,
    invert_histogram,
    position_edges,
    positions_to_distance,
    smooth_weights,
    stratified_positions,
)
from renderers.volume_integration import integration_weights, interval_lengths

PADDING = 0.01
"""Added to every smoothed weight: what seems empty is still visited (mip-NeRF, section 3.1)."""


@torch.no_grad()
def importance_distances(
    density: Tensor,
    positions: Tensor,
    bounds: Bounds,
    sampling: RaySampling,
    rng: torch.Generator | None = None,
    far_is_opaque: bool = False,
) -> Tensor:
    """Return ascending distances (B, R, sampling.fine), drawn from the smoothed weights of the
    coarse samples.

    density: (B, R, S) at ascending `positions` (B, R, S) in [0, 1]. No gradient flows.
    """
    batch, rays, _ = positions.shape
    levels = stratified_positions(batch, rays, sampling.fine, positions.device, rng)
    t = positions_to_distance(positions, bounds, sampling.spacing)
    if fast_path(t):
        operands = (density.float(), t, positions, bounds.near, bounds.far, levels)
        dense = (operand.contiguous() for operand in operands)
        fine = kernels("renderers.cpu.ray_kernel").importance(*dense, PADDING, far_is_opaque)
    else:
        weights = integration_weights(density, interval_lengths(t, bounds), far_is_opaque)
        fine = invert_histogram(position_edges(positions), smooth_weights(weights, PADDING), levels)
    return positions_to_distance(fine, bounds, sampling.spacing)
