"""Steps that are not finite move nothing, and are told when somebody asks."""

import math

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.training.finite import FiniteGuard, finite_only
from lightning_modules.training.optimization import Method, OptimizerSettings


def noted(guard: FiniteGuard, norm: float, loss: float = 1.0, images: int = 0, **terms: float):
    values = {name: torch.tensor(value) for name, value in terms.items()}
    weights = dict.fromkeys(terms, 1.0) | {"unused": 3.0}
    return guard.note(images, "total", torch.tensor(norm), torch.tensor(loss), values, weights)


def test_nothing_is_told_of_finite_steps() -> None:
    guard = FiniteGuard()
    assert guard.first_broken() is None
    assert [float(noted(guard, norm)) for norm in (1.0, 2.0)] == [0, 0]
    assert guard.first_broken() is None
    assert guard.notes == []


def test_the_first_broken_step_is_told_and_all_later_ones_are_held() -> None:
    guard = FiniteGuard()
    found = [float(noted(guard, norm, images=8 * n)) for n, norm in enumerate((1, math.inf, 1))]
    assert found == [0, 1, 1]
    broken = guard.first_broken()
    assert broken is not None
    assert broken.images == 8
    assert broken.said() == (
        "The gradient norm of the total loss is inf in the step after 8 images, at a loss of 1.0: "
        "lower the learning rate."
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_term_that_is_not_finite_is_named(value: float) -> None:
    guard = FiniteGuard()
    noted(guard, math.nan, value, 8, l2=0.5, depth=value)
    broken = guard.first_broken()
    assert broken is not None
    assert broken.said() == (
        f"The loss is {value} in the step after 8 images (depth = {value}, weight 1): lower the "
        "learning rate or the weight of that term."
    )


def test_a_term_is_named_that_is_too_large_with_its_weight() -> None:
    guard = FiniteGuard()
    terms = {"depth": torch.tensor(1e30)}
    guard.note(0, "total", torch.tensor(math.nan), torch.tensor(math.inf), terms, {"depth": 1e9})
    assert "(depth = 1.0000000150474662e+30, weight 1e+09)" in guard.first_broken().said()


@pytest.mark.parametrize(("value", "finite"), [(3.0, True), (math.nan, False), (math.inf, False)])
def test_a_loss_that_is_not_finite_leaves_no_gradient_finite(value: float, finite: bool) -> None:
    weight = torch.ones(3, requires_grad=True)
    loss = weight.sum() + value  # whose gradient would be 1
    loss.backward(gradient=finite_only(loss))
    assert weight.grad.isfinite().all() == finite
    if finite:
        assert (weight.grad == 1).all()


def moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value.clone() for state in optimizer.state.values() for value in state.values()]


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_optimisers_leave_weights_moments_and_counts_where_a_step_is_broken(method: Method) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 30), nn.LayerNorm(30))
    optimizer = OptimizerSettings(lr=0.1, method=method).build(network)

    def step(found: float, gradient: float) -> None:
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, gradient) * torch.rand_like(parameter)
        optimizer.found_inf = torch.tensor(found)
        optimizer.step()

    step(0.0, 1.0)
    before, kept = [p.detach().clone() for p in network.parameters()], moments(optimizer)
    step(1.0, math.nan)
    assert all(map(torch.equal, network.parameters(), before))
    assert all(map(torch.equal, moments(optimizer), kept))
    step(0.0, 1.0)
    assert not any(map(torch.equal, network.parameters(), before))
    assert all(value.isfinite().all() for value in moments(optimizer))
