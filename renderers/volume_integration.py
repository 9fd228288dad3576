"""Emission-absorption volume rendering in float32.

Each sample stands for the interval between the midpoints to its neighbours, the first one from
`near`, the last one up to `far`, and density is constant in the interval. The intervals tile [near,
far] exactly, so a homogeneous slab has the opacity 1 - exp(-density * (far - near)) for any number
and placement of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from renderers.bounds import Bounds
from renderers.compositing import composite
from renderers.dispatch import fast_path, kernels
from renderers.ray_sampling import merge_by_rank, merge_ranks
from renderers.rendering import Rendering

KERNELS = "renderers.cpu.integration_kernel"


@dataclass(frozen=True)
class Samples:
    """Evaluated samples of rays, ascending in t.

    t: (B, R, S) distances; density: (B, R, S) float32 >= 0; features: (B, R, S, C) of any float
    type.
    """

    t: Tensor
    density: Tensor
    features: Tensor


def interval_lengths(t: Tensor, bounds: Bounds) -> Tensor:
    """Return the interval lengths (B, R, S) >= 0 of ascending distances t (B, R, S).

    >>> bounds = Bounds(torch.tensor([[1.0]]), torch.tensor([[4.0]]), torch.tensor([[True]]))
    >>> interval_lengths(torch.tensor([[[1.5, 2.5, 3.0]]]), bounds).tolist()
    [[[1.0, 0.75, 1.25]]]
    """
    inner = torch.lerp(t[..., 1:], t[..., :-1], 0.5)
    edges = torch.cat([bounds.near.unsqueeze(-1), inner, bounds.far.unsqueeze(-1)], dim=-1)
    return edges.diff(dim=-1).clamp_min(0.0)


def integration_weights(density: Tensor, lengths: Tensor, far_is_opaque: bool = False) -> Tensor:
    """Return the weights w_i = T_i (1 - exp(-density_i length_i)), T_i = exp(-sum_{j<i} density_j
    length_j).

    density, lengths: (B, R, S), density >= 0. Max, "Optical models for direct volume rendering",
    1995, discretised as in NeRF (arXiv 2003.08934, eq. 3). `far_is_opaque` puts the residual 1 -
    sum w on the last sample.

    >>> halving = torch.full((1, 1, 3), 2.0).log()  # half the light passes a unit of length
    >>> integration_weights(halving, torch.ones(1, 1, 3))
    tensor([[[0.5000, 0.2500, 0.1250]]])
    >>> integration_weights(halving, torch.ones(1, 1, 3), far_is_opaque=True)
    tensor([[[0.5000, 0.2500, 0.2500]]])
    """
    optical = density.float() * lengths
    before = torch.cat([torch.zeros_like(optical[..., :1]), optical[..., :-1]], dim=-1)
    transmittance = torch.exp(-before.cumsum(dim=-1))
    weights = transmittance * -torch.expm1(-optical)
    if not far_is_opaque:
        return weights
    return torch.cat([weights[..., :-1], transmittance[..., -1:]], dim=-1)


def integrate(
    coarse: Samples,
    fine: Samples | None,
    bounds: Bounds,
    *,
    background: Tensor | None = None,
    far_is_opaque: bool = False,
) -> Rendering:
    """Integrate one or two sets of samples, merged in order, along rays.

    background: broadcasts against (B, R, C), weighted by the residual 1 - opacity. With
    `far_is_opaque` the last sample takes the residual, so opacity is one and a background stays
    invisible.

    >>> bounds = Bounds(torch.tensor([[1.0]]), torch.tensor([[3.0]]), torch.tensor([[True]]))
    >>> density = torch.full((1, 1, 2), 2.0).log()  # half the light passes a unit of length
    >>> grey = torch.full((1, 1, 2, 1), 0.4)
    >>> seen = integrate(Samples(torch.tensor([[[1.5, 2.5]]]), density, grey), None, bounds)
    >>> seen.opacity, seen.rgb
    (tensor([[0.7500]]), tensor([[[0.3000]]]))
    """
    density_f = coarse.density[..., :0] if fine is None else fine.density
    t_f = coarse.t[..., :0] if fine is None else fine.t
    operands = (coarse.density.float(), density_f.float(), coarse.t, t_f, bounds.near, bounds.far)
    optimises_geometry = any(operand.requires_grad for operand in operands[2:])
    if fast_path(operands[0]) and not optimises_geometry:
        outputs = _Integrate.apply(*(x.contiguous() for x in operands), far_is_opaque)
    else:
        outputs = _integrate_plain(*operands, far_is_opaque)
    t, weights, weights_c, weights_f, opacity, depth, disparity = outputs
    # The order of a sum is free: weights go back to the unmerged features, which are C times
    # larger.
    rgb = composite(weights_c, coarse.features)
    if fine is not None:
        rgb = rgb + composite(weights_f, fine.features)
    rgb = before_background(rgb, opacity, background)
    return Rendering(rgb, depth, disparity, opacity, weights, t)


def before_background(rgb: Tensor, opacity: Tensor, background: Tensor | None) -> Tensor:
    """Add a background, if there is one, weighted by the residual 1 - opacity (B, R), to composited
    features (B, R, C)."""
    if background is None:
        return rgb
    return rgb + (1.0 - opacity).unsqueeze(-1) * background.to(rgb.dtype)


def _integrate_plain(
    density_c: Tensor,
    density_f: Tensor,
    t_c: Tensor,
    t_f: Tensor,
    near: Tensor,
    far: Tensor,
    far_is_opaque: bool,
) -> tuple[Tensor, ...]:
    """Return t, weights, coarse and fine weights in own order, opacity, depth, disparity."""
    ranks = merge_ranks(t_c, t_f)
    t = merge_by_rank(t_c, t_f, ranks)
    bounds = Bounds(near, far, far > near)
    density = merge_by_rank(density_c, density_f, ranks)
    weights = integration_weights(density, interval_lengths(t, bounds), far_is_opaque)
    opacity = weights.sum(dim=-1)
    depth = (weights * t).sum(dim=-1) + (1.0 - opacity) * far
    disparity = (weights / t).sum(dim=-1) + (1.0 - opacity) / far
    split = (weights.gather(-1, ranks[0]), weights.gather(-1, ranks[1]))
    return t, weights, *split, opacity, depth, disparity


class _Integrate(torch.autograd.Function):
    """`_integrate_plain` by kernels, differentiable in the densities."""

    @staticmethod
    def forward(ctx: Any, *operands: Any) -> tuple[Tensor, ...]:
        *tensors, opaque = operands
        t, source, weights, weights_c, weights_f, sums = kernels(KERNELS).integrate_forward(
            *tensors, opaque
        )
        ctx.save_for_backward(*tensors, t, source, weights)
        ctx.opaque = opaque
        ctx.mark_non_differentiable(t)
        return t, weights, weights_c, weights_f, *sums.unbind()

    @staticmethod
    def backward(ctx: Any, _: Tensor, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, t, source, weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: stay differentiable
            operands: Any = (*tensors, ctx.opaque)
            outputs = _integrate_plain(*operands)[1:]
            densities = torch.autograd.grad(outputs, tensors[:2], grads, create_graph=True)
        else:
            saved = (*tensors[4:], t, source, weights)
            dense = tuple(grad.contiguous() for grad in grads)
            densities = kernels(KERNELS).integrate_backward(saved, dense)
        return *densities, None, None, None, None, None
