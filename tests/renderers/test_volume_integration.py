import math

import pytest
import torch

from renderers import volume_integration
from renderers.bounds import Bounds
from renderers.volume_integration import (
    Samples,
    integrate,
    integration_weights,
    interval_lengths,
)


def _bounds(near, far, shape=(1, 1)):
    one = torch.ones(shape)
    return Bounds(near * one, far * one, one.bool())


def _uniform(near, far, count, density, features=1):
    t = near + (far - near) * (torch.arange(count) + 0.5) / count
    t = t.view(1, 1, count)
    return Samples(t, torch.full_like(t, density), torch.ones(1, 1, count, features))


@pytest.mark.parametrize("count", [1, 7, 64])
def test_a_homogeneous_slab_has_its_exact_opacity(count):
    result = integrate(_uniform(1.0, 3.0, count, 0.8), None, _bounds(1.0, 3.0))
    expected = 1 - math.exp(-0.8 * 2.0)
    assert result.opacity.item() == pytest.approx(expected, abs=1e-6)
    assert result.rgb.item() == pytest.approx(expected, abs=1e-6)


def test_uneven_samples_leave_the_slab_exact():
    t = torch.tensor([[[1.01, 1.3, 1.31, 2.9]]])
    result = integrate(
        Samples(t, torch.full_like(t, 0.8), torch.ones(1, 1, 4, 2)), None, _bounds(1.0, 3.0)
    )
    assert result.opacity.item() == pytest.approx(1 - math.exp(-1.6), abs=1e-6)


def test_depth_and_disparity_of_the_slab_converge_to_their_integrals():
    near, far, density = 1.0, 3.0, 0.8
    result = integrate(_uniform(near, far, 512, density), None, _bounds(near, far))
    # E[t] with the residual at far: near + (1 - exp(-density L)) / density.
    assert result.depth.item() == pytest.approx(near + (1 - math.exp(-1.6)) / density, abs=1e-4)
    t = torch.linspace(near, far, 200_001, dtype=torch.float64)
    integrand = density * torch.exp(-density * (t - near)) / t
    expected = torch.trapezoid(integrand, t).item() + math.exp(-1.6) / far
    assert result.disparity.item() == pytest.approx(expected, abs=1e-4)


def test_empty_space_shows_the_background_at_the_far_bound():
    samples = _uniform(1.0, 3.0, 8, 0.0, features=3)
    colour = torch.tensor([0.2, 0.4, 0.6])
    result = integrate(samples, None, _bounds(1.0, 3.0), background=colour)
    torch.testing.assert_close(result.rgb.flatten(), colour)
    assert result.opacity.item() == 0.0
    assert result.depth.item() == pytest.approx(3.0)
    assert result.disparity.item() == pytest.approx(1 / 3)


def test_an_opaque_far_end_takes_the_residual():
    samples = _uniform(1.0, 3.0, 8, 0.1)
    result = integrate(samples, None, _bounds(1.0, 3.0), far_is_opaque=True)
    open_end = integrate(samples, None, _bounds(1.0, 3.0))
    assert result.opacity.item() == pytest.approx(1.0)
    torch.testing.assert_close(result.weights[..., :-1], open_end.weights[..., :-1])


def test_a_missed_ray_is_transparent_and_finite():
    bounds = Bounds(torch.full((1, 1), 2.0), torch.full((1, 1), 2.0), torch.zeros(1, 1).bool())
    t = torch.full((1, 1, 4), 2.0)
    density = torch.full_like(t, 1e3).requires_grad_()
    result = integrate(Samples(t, density, torch.ones(1, 1, 4, 1)), None, bounds)
    assert result.opacity.item() == 0.0
    result.depth.sum().backward()
    assert torch.equal(density.grad, torch.zeros_like(density))


def test_a_wall_hides_what_is_behind_it():
    samples = _uniform(1.0, 3.0, 10, 0.0)
    density = samples.density.clone()
    density[..., 4:] = 1e4
    features = torch.arange(10.0).view(1, 1, 10, 1)
    result = integrate(Samples(samples.t, density, features), None, _bounds(1.0, 3.0))
    assert result.rgb.item() == pytest.approx(4.0)
    assert result.depth.item() == pytest.approx(samples.t[0, 0, 4].item())


def _two_sets(opaque):
    rng = torch.Generator().manual_seed(0)
    near = torch.rand(2, 70, generator=rng) + 0.5
    far = near + torch.rand(2, 70, generator=rng) + 0.1
    level = [torch.rand(2, 70, n, generator=rng).sort().values for n in (8, 5)]
    t = [near[..., None] + x * (far - near)[..., None] for x in level]
    density = [torch.rand(x.shape, generator=rng).mul(6).requires_grad_() for x in level]
    return (*density, *t, near, far), rng


@pytest.mark.parametrize("opaque", [False, True])
def test_the_kernel_equals_the_plain_path_in_values_and_gradients(opaque):
    operands, generator = _two_sets(opaque)
    fast = volume_integration._Integrate.apply(*operands, opaque)
    plain = volume_integration._integrate_plain(*operands, opaque)
    torch.testing.assert_close(fast, plain, atol=2e-6, rtol=1e-5)
    grads = [torch.randn(x.shape, generator=generator) for x in plain[1:]]
    fast_grads = torch.autograd.grad(fast[1:], operands[:2], grads)
    plain_grads = torch.autograd.grad(plain[1:], operands[:2], grads)
    torch.testing.assert_close(fast_grads, plain_grads, atol=1e-5, rtol=1e-4)


def test_two_sets_of_samples_equal_their_sorted_union():
    (density_c, density_f, t_c, t_f, near, far), generator = _two_sets(False)
    bounds = Bounds(near, far, far > near)
    features = [torch.rand(*x.shape, 3, generator=generator) for x in (t_c, t_f)]
    two = integrate(
        Samples(t_c, density_c, features[0]), Samples(t_f, density_f, features[1]), bounds
    )
    t, order = torch.cat([t_c, t_f], -1).sort()
    density = torch.cat([density_c, density_f], -1).gather(-1, order)
    merged = torch.cat(features, -2).gather(-2, order.unsqueeze(-1).expand(-1, -1, -1, 3))
    one = integrate(Samples(t, density, merged), None, bounds)
    for name in ("rgb", "depth", "disparity", "opacity", "weights", "t"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name), atol=1e-5, rtol=1e-5)


def test_double_backward_through_the_kernel_path_is_that_of_the_formula():
    (density_c, density_f, t_c, t_f, near, far), _ = _two_sets(False)
    lengths = interval_lengths(t_c, Bounds(near, far, far > near))

    def second_order(weights):
        (grad,) = torch.autograd.grad(weights.square().sum(), density_c, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), density_c)[0]

    empty = (density_f[..., :0], t_c, t_f[..., :0], near, far, False)
    fast = volume_integration._Integrate.apply(density_c, *empty)[1]
    plain = integration_weights(density_c, lengths)
    torch.testing.assert_close(second_order(fast), second_order(plain), atol=1e-4, rtol=1e-3)
