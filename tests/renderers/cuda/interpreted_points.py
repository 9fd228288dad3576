"""Lookup and MLP at points by Triton's interpreter; `test_interpreted_kernels.py` runs this."""

import interpreter
import pytest
import torch
from torch import Tensor

from renderers import dispatch
from renderers import triplane_mlp as operation
from renderers.triplane_mlp import MLPWeights, triplane_mlp, triplane_mlp_plain

interpreter.repair()
SINGLE, HALF = torch.float32, torch.bfloat16


@pytest.fixture(autouse=True)
def _kernels_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "gpu_path", lambda *_: True)


def problem(
    channels: int = 8,
    width: int = 16,
    features: int = 3,
    middle: int = 0,
    batch: int = 2,
    count: int = 100,
    kind: torch.dtype = SINGLE,
) -> tuple[Tensor, Tensor, MLPWeights]:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.3
        return (torch.randn(*shape, generator=rng) * scale).requires_grad_()

    planes = torch.randn(batch, 3, channels, 5, 7, generator=rng).to(kind).requires_grad_()
    points = torch.rand(batch, count, 3, generator=rng) * 2.6 - 1.3  # some outside
    layers = tuple((normal(width, width), normal(width)) for _ in range(middle))
    ends = (normal(width, channels), normal(width), normal(1 + features, width))
    return planes, points, MLPWeights(*ends, normal(1 + features), layers)


def compare(
    planes: Tensor, points: Tensor, weights: MLPWeights, activation: str, tolerance: float
) -> None:
    """Values and all gradients against the plain float32 composition, as relative errors."""
    exact = planes.detach().float().requires_grad_()
    found = triplane_mlp(planes, points, weights, activation)
    expected = triplane_mlp_plain(exact, points, weights, activation)
    assert [x.dtype for x in found] == [SINGLE, planes.dtype]
    rng = torch.Generator().manual_seed(1)
    grads = [torch.randn(x.shape, generator=rng).to(x.dtype) for x in found]
    leaves = weights.flat()
    ours = torch.autograd.grad(found, [planes, *leaves], grads)
    theirs = torch.autograd.grad(expected, [exact, *leaves], [x.float() for x in grads])
    for value, right in zip([*found, *ours], [*expected, *theirs], strict=True):
        assert value.shape == right.shape
        assert (value.float() - right).norm() <= tolerance * right.norm()


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
@pytest.mark.parametrize("middle", [0, 1, 2])
def test_float32_equals_the_plain_composition(activation: str, middle: int) -> None:
    compare(*problem(middle=middle), activation, 1e-5)


@pytest.mark.parametrize("middle", [0, 2])
def test_bfloat16_equals_it_within_rounding(middle: int) -> None:
    # The interpreter cuts off what a GPU rounds: twice the error.
    compare(*problem(middle=middle, kind=HALF), "sigmoid", 2**-5)


@pytest.mark.parametrize(
    ("channels", "width", "features"), [(32, 64, 32), (5, 9, 4), (24, 40, 3), (1, 1, 1)]
)
def test_sizes_of_any_kind_work(channels: int, width: int, features: int) -> None:
    compare(*problem(channels, width, features, middle=1), "sigmoid", 1e-5)


@pytest.mark.parametrize("count", [1, 64, 300])
def test_any_number_of_points_works(count: int) -> None:
    compare(*problem(count=count, batch=1 if count == 1 else 3), "sigmoid", 1e-5)


def test_no_points_give_empty_results_and_zero_gradients() -> None:
    planes, points, weights = problem()
    logits, features = triplane_mlp(planes, points[:, :0], weights)
    assert logits.shape == (2, 0)
    assert features.shape == (2, 0, 3)
    (logits.sum() + features.sum()).backward()
    assert not planes.grad.any()
    assert not weights.out.grad.any()


def test_planes_of_any_layout_give_the_same() -> None:
    planes, points, weights = problem()
    rows = planes.detach().permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    wide = torch.cat([planes.detach()] * 2, 4)[..., :7]
    expected = triplane_mlp(planes, points, weights)
    for same in (rows, wide):
        found = triplane_mlp(same, points, weights)
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_gradients_reach_what_asks_for_them_alone() -> None:
    planes, points, weights = problem()
    frozen = MLPWeights.from_flat([x.detach() for x in weights.flat()])
    expected = torch.autograd.grad(triplane_mlp(planes, points, weights)[0].sum(), planes)
    found = torch.autograd.grad(triplane_mlp(planes, points, frozen)[0].sum(), planes)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    features = triplane_mlp(planes.detach(), points, weights)[1]
    (found,) = torch.autograd.grad(features.sum(), weights.hidden)
    plain = triplane_mlp_plain(planes, points, weights)[1]
    (right,) = torch.autograd.grad(plain.sum(), weights.hidden)
    torch.testing.assert_close(found, right)


def test_points_that_ask_for_gradients_take_the_plain_path() -> None:
    planes, points, weights = problem()
    points.requires_grad_()
    (found,) = torch.autograd.grad(triplane_mlp(planes, points, weights)[0].sum(), points)
    assert (found.abs().sum(-1) > 0).float().mean() > 0.5


def test_double_backward_is_that_of_the_plain_path() -> None:
    planes, points, weights = problem()

    def second_order(compute: object) -> tuple[Tensor, ...]:
        logits = compute(planes, points, weights, "sigmoid")[0]
        (grad,) = torch.autograd.grad(logits.square().sum(), planes, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), [planes, weights.hidden])

    torch.testing.assert_close(second_order(triplane_mlp), second_order(triplane_mlp_plain))


def test_points_that_are_no_numbers_or_far_away_see_nothing() -> None:
    planes, _, weights = problem()
    points = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, 3.0])
    found = triplane_mlp(planes, points[None, :, None].expand(2, -1, 3), weights)
    expected = triplane_mlp_plain(torch.zeros_like(planes), torch.zeros(2, 5, 3), weights)
    torch.testing.assert_close(found[0][:, 1:], expected[0][:, 1:])


def test_a_diverged_weight_shows_as_nan() -> None:
    planes, points, weights = problem()
    broken = MLPWeights(weights.hidden * float("nan"), *weights.flat()[1:])
    logits, features = triplane_mlp(planes, points, broken, "sigmoid")
    assert logits.isnan().all()
    assert features.isnan().all()


def test_the_trial_passes_and_wrong_values_are_told_once(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    shapes = tuple(tuple(x.shape) for x in problem(middle=1)[2].flat())
    settings = (torch.device("cpu"), HALF, shapes, "sigmoid")
    with torch.inference_mode():
        assert dispatch._trial(*settings, False)
    assert dispatch._trial(*settings[:3], "linear", False)
    assert not recwarn
    probe = dispatch.kernels("renderers.cuda.probe")
    right = probe.triplane_mlp
    monkeypatch.setattr(probe, "triplane_mlp", lambda *x: tuple(1.5 * y for y in right(*x)))
    for _ in range(2):
        assert not dispatch._trial(*settings, True)
    (told,) = recwarn
    assert "ArithmeticError: values are 0.5 off); rendering there falls back" in str(told.message)
