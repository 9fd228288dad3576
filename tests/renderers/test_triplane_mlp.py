import pytest
import torch
from torch.nn.functional import softplus

from renderers.cpu import precision
from renderers.cpu.openmp import run_on_threads
from renderers.triplane_mlp import MLPWeights, triplane_mlp, triplane_mlp_plain

HALF, SINGLE = torch.bfloat16, torch.float32
TOLERANCES = {
    (HALF, HALF): (2**-7, 2**-7, 2**-6),
    (HALF, SINGLE): (2e-6, 2**-8, 2**-7),
    (SINGLE, SINGLE): (2e-6, 2e-6, 4e-6),
}
"""By the types of planes and products: relative errors of density, features and gradients."""


def _setup(batch=2, count=1500, channels=16, hidden=32, features=7):
    rng = torch.Generator().manual_seed(0)

    def normal(*shape, scale=1.0):
        return (torch.randn(*shape, generator=rng) * scale).requires_grad_()

    planes = normal(batch, 3, channels, 12, 10)
    weights = MLPWeights(
        normal(hidden, channels, scale=0.3),
        normal(hidden, scale=0.3),
        normal(1 + features, hidden, scale=0.3),
        normal(1 + features, scale=0.3),
    )
    points = torch.rand(batch, count, 3, generator=rng) * 2.2 - 1.1
    return planes, points, weights


def _parameters(weights):
    return [weights.hidden, weights.hidden_bias, weights.out, weights.out_bias]


def _relative(value, expected):
    return ((value.float() - expected).norm() / expected.norm()).item()


@pytest.fixture(autouse=True, params=[False, True], ids=["emulated", "fast"])
def is_fast(request, monkeypatch):
    """Run every test as on a CPU without and with bfloat16 products."""
    monkeypatch.setattr(precision, "bf16_is_fast", lambda: request.param)
    return request.param


# Each activation has kernels of its own, ten seconds to compile; those of the deep fields leave the
# other one to the slow tests.
@pytest.mark.parametrize("activation", [pytest.param("linear", marks=pytest.mark.slow), "sigmoid"])
@pytest.mark.parametrize("count", [1500, 5000, 3])
@pytest.mark.parametrize("stored", [HALF, SINGLE])
def test_it_equals_the_float32_composition_within_rounding(stored, activation, count, is_fast):
    tolerances = TOLERANCES[stored, HALF if is_fast and stored == HALF else SINGLE]
    planes, points, weights = _setup(count=count)
    ours = planes.detach().to(stored).requires_grad_()
    theirs = ours.detach().float().requires_grad_()
    fast = triplane_mlp(ours, points, weights, activation)
    exact = triplane_mlp_plain(theirs, points, weights, activation)
    assert fast[0].dtype == torch.float32
    assert fast[1].dtype == stored
    assert _relative(fast[0], exact[0]) < tolerances[0]
    assert _relative(fast[1], exact[1]) < tolerances[1]
    rng = torch.Generator().manual_seed(1)
    grads = [torch.randn(x.shape, generator=rng) for x in exact]
    grads[1] = grads[1].to(stored).float()
    parameters = _parameters(weights)
    fast_grads = torch.autograd.grad(fast, [ours, *parameters], [grads[0], grads[1].to(stored)])
    exact_grads = torch.autograd.grad(exact, [theirs, *parameters], grads)
    for value, expected in zip(fast_grads, exact_grads, strict=True):
        assert value.shape == expected.shape
        assert _relative(value, expected) < tolerances[2]


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
@pytest.mark.parametrize("count", [1500, 5000, 3])
def test_bfloat16_equals_the_float32_composition_within_rounding(activation, count):
    planes, points, weights = _setup(count=count)
    half = planes.detach().bfloat16().requires_grad_()
    fast = triplane_mlp(half, points, weights, activation)
    exact = triplane_mlp_plain(planes, points, weights, activation)
    assert fast[0].dtype == torch.float32
    assert fast[1].dtype == torch.bfloat16
    assert max(_relative(f, e) for f, e in zip(fast, exact, strict=True)) < 2**-7
    rng = torch.Generator().manual_seed(1)
    grads = [torch.randn(x.shape, generator=rng) for x in exact]
    parameters = _parameters(weights)
    fast_grads = torch.autograd.grad(fast, [half, *parameters], [grads[0], grads[1].bfloat16()])
    exact_grads = torch.autograd.grad(exact, [planes, *parameters], grads)
    for value, expected in zip(fast_grads, exact_grads, strict=True):
        assert value.shape == expected.shape
        assert _relative(value, expected) < 2**-6


@pytest.mark.slow
def test_sizes_that_fill_no_vector_work():
    planes, points, weights = _setup(channels=5, hidden=9, features=3)
    expected = triplane_mlp_plain(planes, points, weights)
    for value, exact in zip(triplane_mlp(planes, points, weights), expected, strict=True):
        assert _relative(value, exact) < 2e-6
    half = planes.detach().bfloat16()
    assert _relative(triplane_mlp(half, points, weights)[0], expected[0]) < 2**-7


@pytest.mark.parametrize("stored", [HALF, SINGLE])
def test_values_with_and_without_gradients_are_the_same(stored):
    planes, points, weights = _setup()
    ours = planes.detach().to(stored).requires_grad_()
    expected = triplane_mlp(ours, points, weights, "sigmoid")
    with torch.no_grad():
        values = triplane_mlp(ours, points, weights, "sigmoid")
    torch.testing.assert_close(values, tuple(x.detach() for x in expected), atol=0, rtol=0)


@pytest.mark.slow
def test_float32_activations_are_precise_over_their_whole_range():
    x = torch.linspace(-80.0, 80.0, 641)
    planes, points = torch.zeros(1, 3, 1, 2, 2), torch.zeros(1, 1, 3)
    # No input reaches the layers: their biases are the arguments of softplus and sigmoid.
    width = len(x)
    weights = MLPWeights(
        torch.zeros(width, 1), x, torch.eye(1 + width, width), torch.zeros(1 + width)
    )
    _, features = triplane_mlp(planes, points, weights)
    expected = softplus(x.double())[1:]
    torch.testing.assert_close(features[0, 0, :-1].double(), expected, atol=0, rtol=1e-6)
    weights = MLPWeights(torch.zeros(1, 1), x[:1], torch.zeros(width, 1), x)
    _, features = triplane_mlp(planes, points, weights, "sigmoid")
    expected = x.double().sigmoid()[1:]
    torch.testing.assert_close(features[0, 0].double(), expected, atol=0, rtol=1e-6)


def test_one_thread_and_two_give_the_same_values():
    planes, points, weights = _setup(count=9000)
    half, threads = planes.detach().bfloat16(), torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(triplane_mlp(half, points, weights))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(results[0], results[1], atol=0, rtol=0)


def test_gradients_on_two_threads_repeat_to_the_bit():
    planes, points, weights = _setup(count=40_000)
    half, threads = planes.detach().bfloat16().requires_grad_(), torch.get_num_threads()
    results = []
    try:
        torch.set_num_threads(2)
        for _ in range(4):
            density, features = triplane_mlp(half, points, weights)
            loss = density.sum() + features.float().square().sum()
            results.append(torch.autograd.grad(loss, [half, *_parameters(weights)]))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_inference_mode_and_frozen_weights_work():
    planes, points, weights = _setup()
    half = planes.detach().bfloat16()
    with torch.inference_mode():
        density, _ = triplane_mlp(half, points, weights)
    assert density.isfinite().all()
    frozen = MLPWeights(*(w.detach() for w in _parameters(weights)))
    half.requires_grad_()
    triplane_mlp(half, points, frozen)[1].float().sum().backward()
    assert half.grad.abs().sum() > 0


def test_gradients_reach_the_points():
    planes, points, weights = _setup(count=50)
    points.requires_grad_()
    density, _ = triplane_mlp(planes.detach().bfloat16(), points, weights)
    density.sum().backward()
    assert (points.grad.abs().sum(dim=-1) > 0).float().mean() > 0.7


def test_a_diverged_weight_shows_as_nan():
    planes, points, weights = _setup(count=50)
    broken = MLPWeights(weights.hidden * float("nan"), *_parameters(weights)[1:])
    density, features = triplane_mlp(planes.detach().bfloat16(), points, broken, "sigmoid")
    assert density.isnan().all()
    assert features.isnan().all()


def test_no_points_give_empty_results_and_zero_gradients():
    planes, _, weights = _setup()
    half = planes.detach().bfloat16().requires_grad_()
    density, features = triplane_mlp(half, torch.zeros(2, 0, 3), weights)
    assert density.shape == (2, 0)
    assert features.shape == (2, 0, 7)
    (density.sum() + features.float().sum()).backward()
    assert not weights.hidden.grad.any()
    assert not half.grad.any()


def test_an_error_on_a_worker_thread_is_raised_by_the_caller():
    def fail():
        raise RuntimeError("out of cheese")

    with pytest.raises(RuntimeError, match="out of cheese"):
        run_on_threads(fail, 2)
