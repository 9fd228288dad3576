"""A trial of the Triton kernels on a small problem, before anything depends on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from renderers.bounds import Bounds
from renderers.compositing import composite_plain
from renderers.contraction import CubeMap
from renderers.cpu.triplane_mlp_layers import Activation
from renderers.cuda.points import triplane_mlp
from renderers.cuda.rays import render
from renderers.radiance import Radiance
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays
from renderers.triplane_mlp import MLPWeights, triplane_mlp_plain
from renderers.volume_integration import integration_weights, interval_lengths

TOLERANCE = 0.1
"""Largest relative error allowed: rounding to bfloat16 or TF32 stays below, a broken kernel above.
"""
RAYS = 70
"""More than a tile."""


@torch.inference_mode(False)
@torch.enable_grad()
def trial(
    device: torch.device,
    kind: torch.dtype,
    shapes: Sequence[tuple[int, ...]],
    activation: Activation,
) -> None:
    """Compare kernels and plain operations, forward and backward, for planes of a type and weights
    of the shapes `MLPWeights.flat`. Raises whatever goes wrong, ArithmeticError if the values do.
    """
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        scale = shape[-1] ** -0.5 if len(shape) == 2 else 1.0
        return (scale * torch.randn(shape, generator=rng)).to(device)

    with torch.autocast(device.type, enabled=False):
        planes = normal(2, 3, shapes[0][1], 4, 6).to(kind).requires_grad_()
        leaves = [planes, *(normal(*shape).requires_grad_() for shape in shapes)]
        weights = MLPWeights.from_flat(leaves[1:])
        points = 0.7 * normal(2, RAYS, 3)
        _compare(
            triplane_mlp(planes, points, weights, activation),
            triplane_mlp_plain(planes, points, weights, activation),
            leaves,
        )
        if activation == "sigmoid":
            directions = normalize(normal(2, RAYS, 3), dim=-1)
            _try_rays(
                Radiance(planes, weights, cube=CubeMap(0.5)), Rays(points, directions), leaves
            )


def _try_rays(field: Radiance, rays: Rays, leaves: list[Tensor]) -> None:
    near = torch.full_like(rays.origins[..., 0], 0.1)
    bounds = Bounds(near, 10 * near, near > 0)
    seen = render(field, rays, RaySampling(3, 2), bounds, None, far_is_opaque=True)
    points = field.cube(rays.at(seen.t).flatten(1, 2))
    logits, values = triplane_mlp_plain(field.planes, points, field.weights, "sigmoid")
    density = softplus(logits).view_as(seen.t)
    weights = integration_weights(density, interval_lengths(seen.t, bounds), far_is_opaque=True)
    rgb = composite_plain(weights, values.unflatten(1, seen.t.shape[1:]))
    _compare((seen.rgb, seen.weights), (rgb, weights), leaves)


def _compare(found: Sequence[Tensor], expected: Sequence[Tensor], leaves: list[Tensor]) -> None:
    """Raise ArithmeticError unless values, and gradients of leaves, are nearly as expected."""
    rng = torch.Generator().manual_seed(1)
    given = [torch.randn(x.shape, generator=rng).to(x) for x in expected]
    sides = [
        [*outputs, *torch.autograd.grad(outputs, leaves, given)] for outputs in (found, expected)
    ]
    for ours, theirs in zip(*sides, strict=True):
        exact = theirs.detach().float()
        error = float((ours.detach().float() - exact).norm() / exact.norm())
        if not error < TOLERANCE:
            raise ArithmeticError(f"values are {error:.2g} off")
