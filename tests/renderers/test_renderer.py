from dataclasses import fields

import pytest
import reference
import torch
from torch.nn.functional import softplus

from renderers.bounds import box_bounds, constant_bounds
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling
from renderers.rays import camera_rays, rays_to_image
from renderers.renderer import render_image, render_rays
from renderers.triplane_mlp import MLPWeights, triplane_mlp

RADIUS = 0.3


def _sphere(points):
    """Return an opaque red sphere."""
    density = torch.where(points.norm(dim=-1) < RADIUS, 1e4, 0.0)
    return density, points.new_tensor([1.0, 0.2, 0.1]).expand(*points.shape[:2], 3)


def _front_rays(size=33):
    camera = orbit_camera(torch.zeros(1), 0.0, 2.0, 25.0)
    return camera, camera_rays(camera, size, size)


def test_a_solid_sphere_has_its_silhouette_and_its_depth():
    _, rays = _front_rays()
    bounds = box_bounds(rays, 0.5)
    result = render_rays(_sphere, rays, RaySampling(96, 96), bounds)
    along = -(rays.origins * rays.directions).sum(-1)
    closest = (rays.origins + along.unsqueeze(-1) * rays.directions).norm(dim=-1)
    inside, outside = closest < RADIUS - 0.02, closest > RADIUS + 0.005
    assert (result.opacity[inside] > 0.999).all()
    assert (result.opacity[outside] == 0).all()
    expected = along - (RADIUS**2 - closest**2).clamp_min(0).sqrt()
    torch.testing.assert_close(result.depth[inside], expected[inside], atol=0.012, rtol=0)
    torch.testing.assert_close(result.depth[outside], bounds.far[outside])


def test_fine_samples_sharpen_the_surface():
    _, rays = _front_rays(9)
    bounds = box_bounds(rays, 0.5)
    centre = 40
    errors = [
        (render_rays(_sphere, rays, sampling, bounds).depth[0, centre] - (2.0 - RADIUS)).abs()
        for sampling in (RaySampling(24, 0), RaySampling(24, 72))
    ]
    assert errors[1] < 0.5 * errors[0]


def test_the_field_is_evaluated_once_per_sample():
    calls = []

    def field(points):
        calls.append(points.shape)
        return _sphere(points)

    _, rays = _front_rays(4)
    result = render_rays(field, rays, RaySampling(5, 3), constant_bounds(rays, 1.0, 3.0))
    assert calls == [(1, 80, 3), (1, 48, 3)]
    assert result.t.shape == result.weights.shape == (1, 16, 8)
    assert (result.t.diff() >= 0).all()


def test_noise_comes_from_the_generator_only():
    _, rays = _front_rays(4)
    bounds = constant_bounds(rays, 1.0, 3.0)

    def t(generator):
        return render_rays(_sphere, rays, RaySampling(5, 3), bounds, rng=generator).t

    state = torch.get_rng_state()
    assert torch.equal(t(torch.Generator().manual_seed(1)), t(torch.Generator().manual_seed(1)))
    assert not torch.equal(t(torch.Generator().manual_seed(1)), t(torch.Generator().manual_seed(2)))
    assert torch.equal(t(None), t(None))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("points_per_chunk", [1, 1000, 10**9])
def test_chunks_do_not_change_an_image(points_per_chunk):
    camera = orbit_camera(torch.tensor([0.1, 0.6]), 0.2, 2.0, 25.0)
    rays = camera_rays(camera, 7, 7)
    sampling, bounds = RaySampling(8, 8), box_bounds(rays, 0.5)
    background = torch.rand(2, 49, 3, generator=torch.Generator().manual_seed(0))
    sizes = []

    def field(points):
        sizes.append(points.shape[1])
        return _sphere(points)

    image = render_image(
        field, rays, sampling, bounds, background=background, points_per_chunk=points_per_chunk
    )
    assert max(sizes) == 8 * {1: 1, 1000: 31, 10**9: 49}[points_per_chunk]  # 2 x 16 samples a ray
    whole = render_rays(_sphere, rays, sampling, bounds, background=background)
    for name in ("rgb", "depth", "disparity", "opacity"):
        torch.testing.assert_close(getattr(image, name), getattr(whole, name))
    assert rays_to_image(image.rgb, 7, 7).shape == (2, 3, 7, 7)


def test_an_image_keeps_nothing_of_single_samples():
    _, rays = _front_rays(4)
    image = render_image(_sphere, rays, RaySampling(5, 3), constant_bounds(rays, 1.0, 3.0))
    shapes = {field.name: tuple(getattr(image, field.name).shape) for field in fields(image)}
    sums = ("depth", "disparity", "opacity")
    assert shapes == {"rgb": (1, 16, 3)} | dict.fromkeys(sums, (1, 16))


def test_gradients_of_a_moved_origin_reach_the_camera():
    _, rays = _front_rays(5)
    origins = rays.origins.clone().requires_grad_()
    moved = type(rays)(origins, rays.directions)

    def soft(points):
        return 20 * torch.exp(-8 * points.square().sum(-1)), points

    result = render_rays(soft, moved, RaySampling(16, 0), box_bounds(moved, 0.5))
    result.depth.sum().backward()
    assert origins.grad.abs().sum() > 0


def _problem(spread=1.0):
    rng = torch.Generator().manual_seed(0)
    camera = orbit_camera(torch.tensor([-0.4, 0.4]), 0.2, 2.7, 18.0)
    rays = camera_rays(camera, 12, 12)
    bounds = box_bounds(rays, 0.5)
    planes = torch.randn(2, 3, 16, 24, 24, generator=rng) * spread
    head = [
        torch.randn(32, 16, generator=rng) * 0.3,
        torch.randn(32, generator=rng) * 0.1,
        torch.randn(9, 32, generator=rng) * 0.3,
        torch.randn(9, generator=rng) * 0.1,
    ]
    rng = torch.Generator().manual_seed(1)
    coarse, fine = (torch.rand(2, 144, 12, generator=rng) for _ in range(2))
    problem = reference.Problem(
        rays.origins, rays.directions, bounds.near, bounds.far, coarse, fine, 0.5
    )
    return rays, bounds, planes, head, problem


def _render(planes, head, rays, bounds):
    def field(points):
        logits, features = triplane_mlp(planes, points / 0.5, MLPWeights(*head), "sigmoid")
        return softplus(logits - 1.0), features

    return render_rays(
        field, rays, RaySampling(12, 12), bounds, rng=torch.Generator().manual_seed(1)
    )


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 2**-6)], ids=["f32", "bf16"]
)
def test_the_renderer_equals_the_reference_in_values_and_gradients(dtype, tolerance):
    rays, bounds, planes, head, problem = _problem()
    grad = torch.randn(2, 144, 8, generator=torch.Generator().manual_seed(2))

    def gradients(rgb, leaves):
        return torch.autograd.grad((rgb * grad).sum(), leaves)

    ours = [planes.to(dtype).requires_grad_(), *(w.clone().requires_grad_() for w in head)]
    theirs = [w.clone().requires_grad_() for w in (planes, *head)]
    result = _render(ours[0], ours[1:], rays, bounds)
    rgb, depth, _ = reference.render(theirs[0], reference.Head(*theirs[1:]), problem)

    def relative(value, expected):
        return ((value.float() - expected).norm() / expected.norm()).item()

    assert relative(result.rgb, rgb) < tolerance
    assert relative(result.depth, depth) < tolerance
    for value, expected in zip(gradients(result.rgb, ours), gradients(rgb, theirs), strict=True):
        # A fine sample that moves across a cell moves its gradient: the planes' tolerance is wider.
        assert relative(value, expected) < 10 * tolerance
