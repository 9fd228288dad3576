"""Rendering in one kernel by Triton's interpreter; `test_interpreted_kernels.py` runs this."""

from dataclasses import replace

import interpreter
import pytest
import torch
from torch import Tensor

from benchmarks.harness import kept_bytes
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
FEW = RaySampling(3, 2)


@pytest.fixture(autouse=True)
def _kernels_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "gpu_path", lambda *_: True)


def field_of(
    *, kind: torch.dtype = SINGLE, middle: int = 0, batch: int = 1, bias: float = 1.0
) -> Radiance:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.3
        return (torch.randn(*shape, generator=rng) * scale).requires_grad_()

    planes = torch.randn(batch, 3, 8, 6, 5, generator=rng).to(kind).requires_grad_()
    layers = tuple((normal(20, 20), normal(20)) for _ in range(middle))
    weights = MLPWeights(normal(20, 8), normal(20), normal(5, 20), normal(5), layers)
    return Radiance(planes, weights, bias, 0.5, 0.01, CubeMap(1.0))


def rays_of(batch: int = 1, count: int = 20) -> tuple[Rays, Bounds]:
    """Rays from near the origin to beyond the cube, the first of which has nothing to see."""
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
    given = [torch.randn(theirs.shape, generator=rng) for _, theirs in pairs]
    ours, theirs = zip(*pairs, strict=True)
    grads = torch.autograd.grad(ours, [field.planes, *field.weights.flat()], given)
    truth = torch.autograd.grad(theirs, [exact.planes, *field.weights.flat()], given)
    for value, right in [*pairs, *zip(grads, truth, strict=True)]:
        assert value.shape == right.shape
        assert (value.float() - right).norm() <= tolerance * right.norm()


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("contracted", [False, True])
def test_float32_equals_the_plain_rendering(opaque: bool, contracted: bool) -> None:
    field = replace(field_of(), cube=CubeMap(0.5, contracted))
    compare(field, *rays_of(), opaque=opaque)


@pytest.mark.parametrize("middle", [0, 2])
def test_bfloat16_equals_it_within_rounding(middle: int) -> None:
    # The interpreter cuts off what a GPU rounds: twice the error.
    compare(field_of(kind=HALF, middle=middle), *rays_of(), tolerance=2**-5)


def test_two_middle_layers_work() -> None:
    compare(field_of(middle=2), *rays_of())


@pytest.mark.parametrize("sampling", [RaySampling(1, 0), RaySampling(2, 4, "disparity")])
def test_any_number_of_samples_works(sampling: RaySampling) -> None:
    compare(field_of(), *rays_of(), sampling)


def test_one_ray_works() -> None:
    rays, bounds = rays_of(count=2)
    compare(field_of(), rays.slice(1, 2), bounds.slice(1, 2), used=("rgb",))


def test_scenes_in_boxes_of_their_own_and_more_rays_than_a_tile_work() -> None:
    boxes = torch.tensor([[0.5, 1.0, 2.0], [1.0, 0.3, 0.7]])
    compare(replace(field_of(batch=2), cube=CubeMap(boxes)), *rays_of(2, 70))


@pytest.mark.parametrize("used", [("rgb",), ("weights",), ("disparity", "opacity")])
def test_gradients_of_some_results_are_right(used: tuple[str, ...]) -> None:
    rays, bounds = rays_of()
    # The reference of what no colour depends on has no gradient to the features' weights at all.
    field = field_of()
    rng = torch.Generator().manual_seed(3)
    seen = render_rays(field, rays, FEW, bounds)
    right = reference(field, rays, bounds, seen.t, False)
    given = [torch.randn(getattr(right, name).shape, generator=rng) for name in used]
    leaves = [field.planes, field.weights.hidden]
    found = torch.autograd.grad([getattr(seen, name) for name in used], leaves, given)
    expected = torch.autograd.grad([getattr(right, name) for name in used], leaves, given)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_ray_ends_where_nothing_shines_through(opaque: bool) -> None:
    field, (rays, bounds) = field_of(bias=60.0), rays_of()
    seen = render_rays(field, rays, RaySampling(12, 0), bounds, far_is_opaque=opaque)
    hidden = seen.weights.flip(-1).cumsum(-1).flip(-1)[0, 1:] == 0
    assert hidden.any(-1).float().mean() > 0.3
    compare(field, rays, bounds, RaySampling(12, 0), opaque=opaque)


def test_the_samples_and_the_random_numbers_are_those_of_the_plain_path() -> None:
    field, (rays, bounds) = field_of(), rays_of()
    rngs = [torch.Generator().manual_seed(5) for _ in range(2)]
    found = render_rays(field, rays, FEW, bounds, rng=rngs[0], background=torch.tensor(0.3))
    plain = render_rays(
        lambda points: field(points), rays, FEW, bounds, rng=rngs[1], background=torch.tensor(0.3)
    )
    for name in (*SUMS, "t"):
        torch.testing.assert_close(getattr(found, name), getattr(plain, name), atol=1e-5, rtol=1e-4)
    assert torch.equal(rngs[0].get_state(), rngs[1].get_state())


def test_a_second_backward_draws_the_same_samples() -> None:
    field, (rays, bounds) = field_of(), rays_of()
    rng = torch.Generator().manual_seed(5)
    loss = render_rays(field, rays, FEW, bounds, rng=rng).rgb.sum()
    torch.rand(7, generator=rng)  # whoever uses the generator meanwhile
    first, second = (
        torch.autograd.grad(loss, field.planes, retain_graph=True)[0] for _ in range(2)
    )
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_a_ray_keeps_at_most_64_bytes() -> None:
    field, (rays, bounds) = field_of(), rays_of(count=64)
    lines = (rays.origins, rays.directions, bounds.near, bounds.far)

    def run() -> None:
        seen = render_rays(field, rays, FEW, bounds, background=torch.ones(1, 1, 1))
        assert seen.rgb.requires_grad

    inputs = [field.planes, *field.weights.flat(), *lines]
    assert kept_bytes(run, inputs) == 64 * 8 + 12 + 4  # a box and a background besides


def test_double_backward_is_that_of_the_plain_path() -> None:
    field, (rays, bounds) = field_of(), rays_of(count=5)

    def second_order(seen: Rendering) -> tuple[Tensor, ...]:
        loss = seen.rgb.square().sum() + seen.disparity.square().sum()
        (grad,) = torch.autograd.grad(loss, field.planes, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), [field.planes, field.weights.hidden])

    seen = render_rays(field, rays, FEW, bounds)
    expected = second_order(reference(field, rays, bounds, seen.t, False))
    torch.testing.assert_close(second_order(seen), expected, rtol=1e-3, atol=1e-4)


def test_rays_that_ask_for_gradients_get_them() -> None:
    field, (rays, bounds) = field_of(), rays_of(count=5)
    rays.origins.requires_grad_()
    seen = render_rays(field, rays, FEW, bounds)
    (found,) = torch.autograd.grad(seen.rgb.sum(), rays.origins)
    assert found[:, 1:].abs().sum() > 0
    with torch.no_grad():
        found = render_rays(field, rays, FEW, bounds).rgb
    torch.testing.assert_close(found, seen.rgb.detach())


def test_a_diverged_weight_shows_as_nan() -> None:
    field, (rays, bounds) = field_of(), rays_of(count=5)
    broken = replace(field.weights, hidden=field.weights.hidden * float("nan"))
    with torch.no_grad():
        seen = render_rays(replace(field, weights=broken), rays, RaySampling(3, 0), bounds)
    assert seen.rgb[:, 1:].isnan().all()


def test_no_rays_give_no_colours_and_zero_gradients() -> None:
    field, (rays, bounds) = field_of(), rays_of()
    seen = render_rays(field, rays.slice(0, 0), FEW, bounds.slice(0, 0))
    assert seen.rgb.shape == (1, 0, 4)
    (grad,) = torch.autograd.grad(seen.rgb.sum(), field.planes)
    assert not grad.any()
