"""Rendering of a field along rays as one operation on a GPU, which keeps eight bytes a ray.

Random numbers, coarse samples and the places of fine ones are made again in the backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from renderers.bounds import Bounds
from renderers.contraction import CubeMap
from renderers.cuda.kernel_rays import rays_backward, rays_forward
from renderers.cuda.packing import as_rows, constants, from_rows, pack, programs, unpack
from renderers.radiance import Radiance
from renderers.ray_sampling import (
    RaySampling,
    invert_histogram,
    position_edges,
    positions_to_distance,
    smooth_weights,
    stratified_positions,
)
from renderers.rays import Rays
from renderers.rendering import Rendering
from renderers.resampling import PADDING
from renderers.triplane_mlp import MLPWeights
from renderers.volume_integration import Samples, integrate


@dataclass(frozen=True)
class _Plan:
    """What of a rendering is not a tensor; rng: as it was before."""

    bias: float
    slope: float
    contracted: bool
    opaque: bool
    sampling: RaySampling
    rng: torch.Generator | None

    @property
    def numbers(self) -> tuple[float, float, int, int]:
        """What the kernels take of it."""
        return self.bias, self.slope, int(self.contracted), int(self.opaque)


def render(
    field: Radiance,
    rays: Rays,
    sampling: RaySampling,
    bounds: Bounds,
    rng: torch.Generator | None,
    far_is_opaque: bool,
) -> Rendering:
    """Do what `render_rays` does, without a background; no gradient reaches rays and bounds."""
    scale = field.cube.scale
    if not isinstance(scale, Tensor):
        scale = rays.origins.new_full((1, 3), 1.0 if scale is None else scale)
    cube = scale.detach().float().expand(len(rays.origins), 3)
    lines = (rays.origins.float(), rays.directions.float(), bounds.near, bounds.far, cube)
    contracted = field.cube.contracted
    plan = _Plan(float(field.bias), float(field.slope), contracted, far_is_opaque, sampling, rng)
    outputs = _Render.apply(field.planes, plan, *lines, *field.weights.flat())
    rgb, depth, disparity, opacity, weights, t = outputs
    rgb = (1 + 2 * field.margin) * rgb - field.margin * opacity.unsqueeze(-1)
    return Rendering(rgb, depth, disparity, opacity, weights, t)


@dataclass(frozen=True)
class _Operands:
    """Contiguous tensors of a rendering: rows (B, 3, H, W, C), weights as `pack` gives them, lines
    (origins, directions, near, far, scale)."""

    planes: Tensor
    rows: Tensor
    weights: Tensor
    lines: tuple[Tensor, ...]
    settings: dict[str, Any]

    @property
    def tiles(self) -> int:
        """How many tiles of rays there are."""
        batch, count, _ = self.lines[0].shape
        return batch * -(-count // self.settings["M"])


def _operands(planes: Tensor, lines: Sequence[Tensor], weights: Sequence[Tensor]) -> _Operands:
    settings = constants(planes, weights, "sigmoid")
    dense = tuple(line.contiguous() for line in lines)
    return _Operands(planes, as_rows(planes), pack(weights), dense, settings)


def _march(operands: _Operands, plan: _Plan, t: Tensor, *, features: bool) -> tuple[Tensor, ...]:
    """Return the weights of samples at t (B, R, S), and with features also rgb (B, R, F), sums (B,
    R, 3), and optical depth (B, R) and number (B, R) of the samples that count."""
    batch, count, samples = t.shape
    sample_weights = torch.zeros_like(t)
    rgb = t.new_empty(batch, count, operands.settings["F"] if features else 0)
    sums, ends = t.new_empty(batch, count, 3), t.new_empty(batch, count)
    counts = torch.empty_like(ends, dtype=torch.int32)
    outputs = (sample_weights, rgb, sums, ends, counts)
    if operands.tiles > 0:
        with torch.cuda.device_of(t):
            rays_forward[(operands.tiles,)](
                operands.rows, operands.weights, *operands.lines, t, *outputs, *plan.numbers,
                count, samples, *operands.planes.shape[3:], **operands.settings,
                FEATURES=features,
            )  # fmt: skip
    return outputs


def _place(operands: _Operands, plan: _Plan, rng: torch.Generator | None) -> Tensor:
    """Return the distances (B, R, S) of coarse and fine samples, ascending."""
    near, far = operands.lines[2:4]
    bounds, sampling, (batch, count) = Bounds(near, far, far > near), plan.sampling, near.shape
    positions = stratified_positions(batch, count, sampling.coarse, near.device, rng)
    coarse = positions_to_distance(positions, bounds, sampling.spacing).contiguous()
    if sampling.fine == 0:
        return coarse
    weights = _march(operands, plan, coarse, features=False)[0]
    levels = stratified_positions(batch, count, sampling.fine, near.device, rng)
    edges = position_edges(positions)
    fine = invert_histogram(edges, smooth_weights(weights, PADDING), levels)
    both = torch.cat([coarse, positions_to_distance(fine, bounds, sampling.spacing)], dim=-1)
    return both.sort(dim=-1).values


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, plan: _Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.plan = replace(plan, rng=None if plan.rng is None else plan.rng.clone_state())
        operands = _operands(planes, tensors[:5], tensors[5:])
        t = _place(operands, plan, plan.rng)
        weights, rgb, sums, *kept = _march(operands, plan, t, features=True)
        ctx.save_for_backward(planes, *kept, *tensors)
        depth, disparity, opacity = sums.unbind(-1)
        far = tensors[3]
        depth, disparity = depth + (1 - opacity) * far, disparity + (1 - opacity) / far
        ctx.mark_non_differentiable(t)
        ctx.set_materialize_grads(False)
        return rgb, depth, disparity, opacity.contiguous(), weights, t

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        planes, *tensors = ctx.saved_tensors
        kept, lines, weights, plan = tensors[:2], tensors[2:7], tensors[7:], ctx.plan
        operands = _operands(planes, lines, weights)
        with torch.no_grad():
            t = _place(operands, plan, None if plan.rng is None else plan.rng.clone_state())
        if torch.is_grad_enabled():  # double backward: stay differentiable
            leaves = [planes, *weights]
            outputs = _render_plain(planes, plan, lines, weights, t)
            used = [(x, g) for x, g in zip(outputs, grads, strict=False) if g is not None]
            values, given = zip(*used, strict=True)
            found = torch.autograd.grad(values, leaves, given, create_graph=True)
        else:
            found = _march_back(operands, plan, t, kept, grads, weights)
        return found[0], *[None] * 6, *found[1:]


def _render_plain(
    planes: Tensor,
    plan: _Plan,
    lines: Sequence[Tensor],
    weights: Sequence[Tensor],
    t: Tensor,
) -> tuple[Tensor, ...]:
    """Return rgb, depth, disparity, opacity and weights by operations that can be differentiated
    twice."""
    origins, directions, near, far, scale = lines
    cube = CubeMap(scale, plan.contracted)
    field = Radiance(planes, MLPWeights.from_flat(weights), plan.bias, plan.slope, cube=cube)
    density, features = field(Rays(origins, directions).at(t).flatten(1, 2))
    samples = Samples(t, density.unflatten(1, t.shape[1:]), features.unflatten(1, t.shape[1:]))
    seen = integrate(samples, None, Bounds(near, far, far > near), far_is_opaque=plan.opaque)
    return seen.rgb, seen.depth, seen.disparity, seen.opacity, seen.weights


def _march_back(
    operands: _Operands,
    plan: _Plan,
    t: Tensor,
    kept: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    weights: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Return the gradients of planes and weights."""
    (batch, count, samples), far = t.shape, operands.lines[3]
    d_rgb, d_depth, d_disparity, d_opacity, d_weights, _ = grads
    zero = torch.zeros_like(far)
    d_depth = zero if d_depth is None else d_depth
    d_disparity = zero if d_disparity is None else d_disparity
    d_opacity = (zero if d_opacity is None else d_opacity) - d_depth * far - d_disparity / far
    d_sums = torch.stack([d_depth, d_disparity, d_opacity], dim=-1)
    if d_rgb is None:
        d_rgb = t.new_zeros(batch, count, operands.settings["F"])
    given = t if d_weights is None else d_weights.contiguous()
    d_rows = torch.zeros_like(operands.rows, dtype=torch.float32)
    shares = t.new_zeros(programs(t.device, operands.tiles), len(operands.weights))
    if operands.tiles > 0:
        with torch.cuda.device_of(t):
            rays_backward[(len(shares),)](
                operands.rows, operands.weights, *operands.lines, t, *kept, given,
                d_rgb.contiguous(), d_sums, d_rows, shares, *plan.numbers,
                int(d_weights is not None), count, samples, *operands.planes.shape[3:],
                operands.tiles, len(operands.weights), **operands.settings,
            )  # fmt: skip
    return from_rows(d_rows, operands.planes), *unpack(shares.sum(0), weights)
