"""Render rays through a field: coarse samples, then fine ones where those saw something."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from renderers.bounds import Bounds
from renderers.cameras import Camera
from renderers.ray_sampling import RaySampling, positions_to_distance, stratified_positions
from renderers.rays import Rays, camera_rays
from renderers.rendering import Rendering, concatenate_rays
from renderers.resampling import importance_distances
from renderers.volume_integration import Samples, integrate

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps world points (B, N, 3) to density (B, N) float32 >= 0 and features (B, N, C)."""


def evaluate_field(field: Field, rays: Rays, t: Tensor) -> Samples:
    """Evaluate `field` at distances t (B, R, S) along the rays."""
    density, features = field(rays.at(t).flatten(1, 2))
    shape = t.shape[1:]
    return Samples(t, density.float().unflatten(1, shape), features.unflatten(1, shape))


def render_rays(
    field: Field,
    rays: Rays,
    sampling: RaySampling,
    bounds: Bounds,
    *,
    rng: torch.Generator | None = None,
    background: Tensor | None = None,
    far_is_opaque: bool = False,
) -> Rendering:
    """Render rays (B, R) with `sampling.coarse` + `sampling.fine` samples each; S is their sum.

    Every sample is evaluated once and takes part in the result. Without a generator sampling is
    deterministic (bin midpoints). background: broadcasts against (B, R, C). far_is_opaque: see
    `integration_weights`.
    """
    batch, count = rays.directions.shape[:2]
    device = rays.directions.device
    positions = stratified_positions(batch, count, sampling.coarse, device, rng)
    coarse = evaluate_field(field, rays, positions_to_distance(positions, bounds, sampling.spacing))
    fine = None
    if sampling.fine > 0:
        t = importance_distances(
            coarse.density, positions, bounds, sampling, rng, far_is_opaque=far_is_opaque
        )
        fine = evaluate_field(field, rays, t)
    return integrate(coarse, fine, bounds, background=background, far_is_opaque=far_is_opaque)


@torch.no_grad()
def render_image(
    field: Field,
    camera: Camera,
    height: int,
    width: int,
    sampling: RaySampling,
    bounds: Callable[[Rays], Bounds],
    *,
    background: Tensor | None = None,
    far_is_opaque: bool = False,
    points_per_chunk: int = 1 << 20,
) -> Rendering:
    """Render all pixels of cameras (B,) without gradients, R = height * width row by row, a chunk
    of rays at a time.

    bounds: e.g. `functools.partial(box_bounds, half_extent=1.0)`. points_per_chunk limits the field
    evaluations held in memory at once; the result does not depend on it. `rays_to_image` folds the
    result into images.
    """
    rays = camera_rays(camera, height, width)
    limits = bounds(rays)
    per_ray = rays.directions.shape[0] * (sampling.coarse + sampling.fine)
    step = max(1, points_per_chunk // per_ray)
    parts = []
    for start in range(0, height * width, step):
        stop = start + step
        backdrop = background
        if background is not None and background.ndim == 3 and background.shape[1] > 1:
            backdrop = background[:, start:stop]
        parts.append(
            render_rays(
                field,
                rays.slice(start, stop),
                sampling,
                limits.slice(start, stop),
                background=backdrop,
                far_is_opaque=far_is_opaque,
            )
        )
    return concatenate_rays(parts)
