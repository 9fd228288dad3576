import copy

import pytest
import torch
from torch import nn

from lightning_modules.training.muon import ADAMS_UPDATE, MuonAdamW, orthogonalized
from lightning_modules.training.optimization import OptimizerSettings, check_optimizer_states

MUON = OptimizerSettings(lr=0.01, weight_decay=0.0, method="muon")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 48), nn.GELU(), nn.Linear(48, 20), nn.Linear(20, 3))


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    """Fit fixed noise; returns the losses."""
    rng = torch.Generator().manual_seed(1)
    inputs, targets = torch.randn(64, 16, generator=rng), torch.randn(64, 3, generator=rng)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("shape", [(24, 60), (60, 24), (32, 32)])
def test_singular_vectors_stay_and_singular_values_become_alike(shape: tuple[int, int]) -> None:
    matrix = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    matrix[1] *= 1000
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.mT @ orthogonalized(matrix) @ right.mT  # diagonal, with the new singular values
    diagonal = found.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(found, torch.diag_embed(diagonal), atol=1e-3, rtol=0)
    clear = values > 0.05 * values[:, :1]
    assert ((diagonal > 0.65) & (diagonal < 1.25))[clear].all()
    assert not orthogonalized(torch.zeros(1, 4, 4)).any()


def test_the_first_step_is_along_the_orthogonalised_gradient() -> None:
    model = network()
    before = copy.deepcopy(model)
    optimizer = MUON.build(model)
    learn(model, optimizer, 1)
    reference = copy.deepcopy(before)
    learn(reference, torch.optim.SGD(reference.parameters(), lr=0.0), 1)
    for number in (0, 2):
        gradient = reference[number].weight.grad
        size = 0.01 * ADAMS_UPDATE * max(gradient.shape) ** 0.5
        expected = before[number].weight - size * orthogonalized(gradient[None])[0]
        torch.testing.assert_close(model[number].weight, expected)
    # The narrow last layer and biases are AdamW's: the first step of each entry is the rate.
    for ours, old in ((model[3].weight, before[3].weight), (model[0].bias, before[0].bias)):
        torch.testing.assert_close(
            (ours - old).abs(), torch.full_like(old, 0.01), rtol=1e-3, atol=0
        )


def test_matrices_decay_and_vectors_do_not() -> None:
    model = network()
    before = copy.deepcopy(model)
    optimizer = OptimizerSettings(lr=0.1, weight_decay=0.5, method="muon").build(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for ours, old in zip(model.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(ours, 0.95 * old if old.ndim == 2 else old)


def test_it_learns_and_goes_on_from_its_state() -> None:
    model = network()
    optimizer = MUON.build(model)
    losses = learn(model, optimizer, 60)
    assert losses[-1] < 0.5 * losses[0]
    again, saved = copy.deepcopy(model), copy.deepcopy(optimizer.state_dict())
    other = MUON.build(again)
    check_optimizer_states([saved], [other])
    other.load_state_dict(saved)
    assert learn(again, other, 5) == learn(model, optimizer, 5)


def test_parameters_without_a_gradient_stay() -> None:
    model = network()
    before = copy.deepcopy(model)
    optimizer = MUON.build(model)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    optimizer.step()
    assert not torch.equal(model[0].weight, before[0].weight)
    assert torch.equal(model[2].weight, before[2].weight)
    check_optimizer_states([optimizer.state_dict()], [MUON.build(network())])


def test_states_of_another_method_or_shape_are_told() -> None:
    model = network()
    muon, adamw = MUON.build(model), OptimizerSettings().build(model)
    assert isinstance(muon, MuonAdamW)
    with pytest.raises(ValueError, match="param_groups is a list, not of this optimiser"):
        check_optimizer_states([muon.state_dict()], [adamw])
    learn(model, muon, 1)
    state = muon.state_dict()
    state["state"][0]["momentum"] = torch.zeros(2)
    with pytest.raises(ValueError, match=r"state.0.momentum is no finite array of shape \[48, 16"):
        check_optimizer_states([state], [muon])
