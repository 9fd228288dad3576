"""Hierarchical rendering of a field: coarse samples along rays, then importance samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from renderers.bounds import Bounds
from renderers.dispatch import gpu_path, kernels
from renderers.radiance import Radiance
from renderers.ray_sampling import RaySampling, positions_to_distance, stratified_positions
from renderers.rays import Rays
from renderers.rendering import ImageRendering, Rendering
from renderers.resampling import importance_distances
from renderers.volume_integration import Samples, before_background, integrate

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps world points (B, N, 3) to density (B, N) float32 >= 0 and features (B, N, C)."""
FUSED = "renderers.cuda.rays"
"""Sampling, lookup, MLP and integration as one operation on a GPU."""
POINTS_PER_CHUNK = 1 << 20
"""Field evaluations that `render_image` holds at once, if not told otherwise."""


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

    >>> from renderers.bounds import box_bounds
    >>> def ball(points: Tensor) -> tuple[Tensor, Tensor]:  # white, solid, of radius 0.5
    ...     return 1e4 * (points.norm(dim=-1) < 0.5), torch.ones_like(points)
    >>> origins = torch.tensor([[[0.0, 0.0, 2.0], [0.7, 0.0, 2.0]]])  # the second ray misses it
    >>> rays = Rays(origins, torch.tensor([0.0, 0.0, -1.0]).expand(1, 2, 3))
    >>> seen = render_rays(ball, rays, RaySampling(64, 64), box_bounds(rays, 1.0))
    >>> [f"{depth:.1f}" for depth in seen.depth[0].tolist()]  # its front, the box's end
    ['1.5', '3.0']
    >>> seen.opacity.round().tolist(), seen.weights.shape
    ([[1.0, 0.0]], torch.Size([1, 2, 128]))
    """
    if isinstance(field, Radiance) and _in_one_kernel(field, rays, bounds):
        seen = kernels(FUSED).render(field, rays, sampling, bounds, rng, far_is_opaque)
        return replace(seen, rgb=before_background(seen.rgb, seen.opacity, background))
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


def _in_one_kernel(field: Radiance, rays: Rays, bounds: Bounds) -> bool:
    """Return whether a GPU takes it all, which gives no gradients to where the rays run."""
    lines = (rays.origins, rays.directions, bounds.near, bounds.far, field.cube.scale)
    if torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in lines):
        return False
    return gpu_path(field.planes, field.weights.flat(), "sigmoid")


@torch.no_grad()
def render_image(
    field: Field,
    rays: Rays,
    sampling: RaySampling,
    bounds: Bounds,
    *,
    background: Tensor | None = None,
    far_is_opaque: bool = False,
    points_per_chunk: int = POINTS_PER_CHUNK,
) -> ImageRendering:
    """Render all rays (B, R) of images without gradients, a chunk of rays at a time.

    Arguments as of `render_rays`, rays for example of `camera_rays`; `rays_to_image` folds the
    result into images. points_per_chunk limits the field evaluations held in memory at once, though
    not below one ray of each image; the result does not depend on it.

    >>> from renderers.bounds import constant_bounds
    >>> def ball(points: Tensor) -> tuple[Tensor, Tensor]:  # white, solid, of radius 0.5
    ...     return 1e4 * (points.norm(dim=-1) < 0.5), torch.ones_like(points)
    >>> x = torch.tensor([[-0.7, -0.3, 0.3, 0.7]])  # a row of four parallel rays
    >>> rays = Rays(x[..., None] * torch.eye(3)[0], torch.eye(3)[2].expand(1, 4, 3))
    >>> image = render_image(ball, rays, RaySampling(32, 32), constant_bounds(rays, 0.1, 1.0))
    >>> image.opacity.round().tolist()
    [[0.0, 1.0, 1.0, 0.0]]
    """
    batch, count = rays.directions.shape[:2]
    step, whole = max(1, points_per_chunk // (batch * sampling.total)), None
    for start in range(0, count, step):
        part = render_rays(
            field,
            rays.slice(start, start + step),
            sampling,
            bounds.slice(start, start + step),
            background=_of_rays(background, start, start + step),
            far_is_opaque=far_is_opaque,
        )
        whole = whole or ImageRendering.empty(count, part)
        whole.write(start, part)
    assert whole is not None
    return whole


def _of_rays(background: Tensor | None, start: int, stop: int) -> Tensor | None:
    """Return the background of the rays start..stop, which may be one for all rays."""
    if background is None or background.ndim < 3 or background.shape[1] == 1:
        return background
    return background[:, start:stop]
