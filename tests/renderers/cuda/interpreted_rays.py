"""Rendering in one kernel by Triton's interpreter; `test_interpreted_kernels.py` runs this."""

from dataclasses import replace

import interpreter
import pytest
import torch
from torch import Tensor

from renderers import renderer
from renderers.bounds import Bounds
from renderers.contraction import CubeMap
from renderers.radiance import Radiance
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays
from renderers.renderer import render_rays
from renderers.rendering import Rendering
from renderers.triplane_mlp import MLPWeights, triplane_mlp_plain
from renderers.volume_integration import _integrate_plain

interpreter.repair()
SINGLE, HALF = torch.float32, torch.bfloat16
SUMS = ("rgb", "depth", "disparity", "opacity", "weights")
FEW = RaySampling(4, 3)


@pytest.fixture(autouse=True)
def _kernels_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "gpu_path", lambda *_: True)


def field_of(
    *, kind: torch.dtype = SINGLE, middle: int = 0, batch: int = 2, bias: float = 1.0
) -> Radiance:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.3
        return (torch.randn(*shape, generator=rng) * scale).requires_grad_()

    planes = torch.randn(batch, 3, 8, 6, 5, generator=rng).to(kind).requires_grad_()
    layers = tuple((normal(20, 20), normal(20)) for _ in range(middle))
    weights = MLPWeights(normal(20, 8), normal(20), normal(5, 20), normal(5), layers)
    return Radiance(planes, weights, bias, 0.5, 0.01, CubeMap(1.0))


def rays_of(batch: int = 2, count: int = 70) -> tuple[Rays, Bounds]:
    """Rays from near the origin to beyond the cube, one of which has nothing to see."""
    rng = torch.Generator().manual_seed(1)
    origins = torch.rand(batch, count, 3, generator=rng) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(batch, count, 3, generator=rng), dim=-1)
    near = torch.rand(batch, count, generator=rng) * 0.2 + 0.05
    far = near + torch.rand(batch, count, generator=rng) + 0.5
    far[:, 0] = near[:, 0]
    return Rays(origins, directions), Bounds(near, far, far > near)


def reference(field: Radiance, rays: Rays, bounds: Bounds, t: Tensor, opaque: bool) -> Rendering:
    """The float32 rendering of samples at t, by plain operations."""
    points = field.cube(rays.at(t).flatten(1, 2))
    logits, features = triplane_mlp_plain(field.planes, points, field.weights, "sigmoid")
    density = torch.nn.functional.softplus(logits + field.bias - field.slope * points[..., 2])
    density, features = (x.unflatten(1, t.shape[1:]) for x in (density, features))
    empty = (density[..., :0], t, t[..., :0], bounds.near, bounds.far)
    _, weights, _, _, opacity, depth, disparity = _integrate_plain(density, *empty, opaque)
    rgb = (weights[..., None] * field.stretched(features)).sum(-2)
    return Rendering(rgb, depth, disparity, opacity, weights, t)


def compare(
    field: Radiance,
    rays: Rays,
    bounds: Bounds,
    sampling: RaySampling = FEW,
    *,
    tolerance: float = 1e-4,
    opaque: bool = False,
    used: tuple[str, ...] = SUMS,
) -> None:
    """Values and gradients of what is used against the reference, as relative errors."""
    rng = torch.Generator().manual_seed(2)
    found = render_rays(field, rays, sampling, bounds, rng=rng, far_is_opaque=opaque)
    exact = replace(field, planes=field.planes.detach().float().requires_grad_())
    expected = reference(exact, rays, bounds, found.t, opaque)
    pairs = [(getattr(found, name), getattr(expected, name)) for name in used]
    loss, right = (
        sum((x * torch.sin(37 * x.detach())).sum() for x in side) for side in zip(*pairs)
    )
    grads = torch.autograd.grad(loss, [field.planes, *field.weights.flat()])
    truth = torch.autograd.grad(right, [exact.planes, *field.weights.flat()])
    for ours, theirs in [*pairs, *zip(grads, truth, strict=True)]:
        assert ours.shape == theirs.shape
        assert (ours.float() - theirs).norm() <= tolerance * theirs.norm()
