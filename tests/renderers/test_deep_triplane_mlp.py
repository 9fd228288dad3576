"""The triplane MLP with layers between the hidden layer and the output, and 32 features."""

import pytest
import torch
from torch.nn.functional import softplus

from renderers.cpu import precision
from renderers.triplane_mlp import MLPWeights, triplane_mlp, triplane_mlp_plain

HALF, SINGLE = torch.bfloat16, torch.float32
TOLERANCES = {SINGLE: (2e-6, 4e-6), HALF: (2**-7, 2**-6)}
"""By the type of the products: relative errors of values and of gradients."""


@pytest.fixture(params=[HALF, SINGLE], ids=["bf16-products", "f32-products"])
def products(request, monkeypatch):
    """Run a test as on a CPU with and without fast bfloat16 products."""
    monkeypatch.setattr(precision, "bf16_is_fast", lambda: request.param == HALF)
    return request.param


def _setup(middle, features=32, count=1500, hidden=32, channels=16):
    rng = torch.Generator().manual_seed(0)

    def normal(*shape, scale=0.3):
        return (torch.randn(*shape, generator=rng) * scale).requires_grad_()

    planes = normal(2, 3, channels, 12, 10, scale=1.0)
    weights = MLPWeights(
        normal(hidden, channels),
        normal(hidden),
        normal(1 + features, hidden),
        normal(1 + features),
        tuple((normal(hidden, hidden), normal(hidden)) for _ in range(middle)),
    )
    return planes, torch.rand(2, count, 3, generator=rng) * 2.2 - 1.1, weights


def _relative(value, expected):
    return ((value.float() - expected).norm() / expected.norm()).item()


def _gradients(function, planes, points, weights, activation):
    """Return values and the gradients of a fixed random sum of them to planes and weights."""
    values = function(planes, points, weights, activation)
    rng = torch.Generator().manual_seed(1)
    seeds = [torch.randn(x.shape, generator=rng).to(HALF) for x in values]
    seeds = [seed.to(x.dtype) for seed, x in zip(seeds, values, strict=True)]
    return values, torch.autograd.grad(values, [planes, *weights.flat()], seeds)


@pytest.mark.parametrize("activation", ["linear", pytest.param("sigmoid", marks=pytest.mark.slow)])
@pytest.mark.parametrize("middle", [0, 1, 2])
@pytest.mark.parametrize("count", [1500, 5000, 3])
def test_values_and_gradients_equal_the_plain_composition(middle, activation, count, products):
    planes, points, weights = _setup(middle, count=count)
    stored = planes.detach().to(products).requires_grad_()
    ours = _gradients(triplane_mlp, stored, points, weights, activation)
    exact = stored.detach().float().requires_grad_()
    plain = _gradients(triplane_mlp_plain, exact, points, weights, activation)
    assert ours[0][0].shape == (2, count)
    assert ours[0][1].shape == (2, count, 32)
    for kind, tolerance in enumerate(TOLERANCES[products]):
        for value, expected in zip(ours[kind], plain[kind], strict=True):
            assert value.shape == expected.shape
            assert _relative(value, expected) < tolerance


@pytest.mark.slow
def test_each_middle_layer_is_a_linear_and_a_softplus():
    # No plane reaches the layers, so their biases are known numbers: a chain on one unit.
    one = torch.ones(1, 1)
    middle = ((2 * one, torch.tensor([-1.0])), (-1 * one, torch.tensor([0.5])))
    weights = MLPWeights(one, torch.tensor([0.3]), one.expand(4, 1), torch.zeros(4), middle)
    logits, features = triplane_mlp(torch.zeros(1, 3, 1, 2, 2), torch.zeros(1, 1, 3), weights)
    hidden = softplus(torch.tensor(0.3))
    expected = softplus(0.5 - softplus(2 * hidden - 1.0))
    torch.testing.assert_close(logits[0, 0], expected)
    torch.testing.assert_close(features[0, 0], expected.expand(3))


def test_the_plain_path_has_the_gradients_of_finite_differences():
    planes, points, weights = _setup(2, features=3, count=4, hidden=3, channels=2)
    small = planes[..., :3, :2]
    leaves = [x.detach().double().requires_grad_() for x in (small, points, *weights.flat())]

    def function(planes, points, *tensors):
        return triplane_mlp_plain(planes, points, MLPWeights.from_flat(tensors), "sigmoid")

    assert torch.autograd.gradcheck(function, leaves)


def test_gradients_of_gradients_equal_the_plain_ones():
    planes, points, weights = _setup(2, count=50)
    results = []
    for function in (triplane_mlp, triplane_mlp_plain):
        logits, _ = function(planes, points, weights)
        slope = torch.autograd.grad(logits.square().sum(), planes, create_graph=True)[0]
        leaves = [planes, *weights.flat()]
        results.append(torch.autograd.grad(slope.square().sum(), leaves, allow_unused=True))
    for value, expected in zip(*results, strict=True):
        assert _relative(value, expected) < 1e-5


def test_gradients_reach_the_points():
    planes, points, weights = _setup(2, count=50)
    points.requires_grad_()
    triplane_mlp(planes, points, weights)[0].sum().backward()
    assert (points.grad.abs().sum(dim=-1) > 0).float().mean() > 0.7


@pytest.mark.slow
def test_sizes_that_fill_no_vector_work():
    planes, points, weights = _setup(2, features=3, hidden=9, channels=5)
    ours = _gradients(triplane_mlp, planes, points, weights, "linear")
    plain = _gradients(triplane_mlp_plain, planes, points, weights, "linear")
    for value, expected in zip((*ours[0], *ours[1]), (*plain[0], *plain[1]), strict=True):
        assert _relative(value, expected) < 4e-6


def test_two_threads_repeat_to_the_bit_and_give_the_values_of_one(products):
    planes, points, weights = _setup(2, count=6000)
    stored, threads = planes.detach().to(products).requires_grad_(), torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 2, 2):
            torch.set_num_threads(count)
            results.append(_gradients(triplane_mlp, stored, points, weights, "sigmoid"))
    finally:
        torch.set_num_threads(threads)
    alone, first, *others = results
    assert all(torch.equal(a, b) for a, b in zip(alone[0], first[0], strict=True))
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_a_middle_layer_of_another_width_is_an_error():
    planes, points, weights = _setup(1)
    narrow = ((torch.zeros(31, 32), torch.zeros(31)),)
    first = (weights.hidden, weights.hidden_bias, weights.out, weights.out_bias)
    with pytest.raises(ValueError, match=r"16 channels, 32 hidden units.*\(31, 32\)"):
        triplane_mlp(planes, points, MLPWeights(*first, narrow))
