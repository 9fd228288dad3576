from dataclasses import replace

import pytest
import torch
from torch import nn

from datamodules.errors import DataError
from lightning_modules.training import optimization
from lightning_modules.training.optimization import (
    Method,
    OptimizerSettings,
    average_gradients,
    clip_gradients,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def test_matrices_decay_and_vectors_do_not() -> None:
    # With zero gradients a step of AdamW is the decay alone: w (1 - lr * decay) = 0.95 w.
    model = network()
    nn.init.constant_(model[0].bias, 1.0)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = OptimizerSettings(lr=0.1, weight_decay=0.5).build(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (0.95 if old.ndim == 2 else 1.0))


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_every_parameter_is_optimised_once(method: Method) -> None:
    model = nn.Sequential(network(), nn.Linear(20, 30), nn.Embedding(40, 50))
    optimizer = OptimizerSettings(method=method).build(model)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_settings_reach_adamw() -> None:
    optimizer = OptimizerSettings(lr=0.02, betas=(0.0, 0.9)).build(network())
    assert isinstance(optimizer, torch.optim.AdamW)
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"]) == (0.02, (0.0, 0.9))


@pytest.mark.parametrize(
    ("images_seen", "lr"), [(0, 0.0), (50, 1e-3), (100, 2e-3), (600, 1.1e-3), (1100, 2e-4)]
)
def test_learning_rate_at_a_count_of_images(images_seen: int, lr: float) -> None:
    # Peak 2e-3 after 100, then half a cosine to a tenth of it at 1100; midway (2e-3 + 2e-4) / 2.
    settings = OptimizerSettings(lr=2e-3, warmup=100, floor=0.1)
    assert settings.lr_at(images_seen, 1100) == pytest.approx(lr)


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_settings_of_now_replace_those_of_a_checkpoint(method: Method) -> None:
    before = OptimizerSettings(method=method)
    now = replace(before, betas=(0.0, 0.9), weight_decay=0.5)
    optimizer = now.build(network())
    optimizer.load_state_dict(before.build(network()).state_dict())
    now.apply(optimizer, 0.3)
    found = [
        (group["lr"], group["betas"], group["weight_decay"]) for group in optimizer.param_groups
    ]
    *matrices, vectors = found
    assert set(matrices) == {(0.3, (0.0, 0.9), 0.5)}
    assert vectors == (0.3, (0.0, 0.9), 0.0)


def test_a_method_that_is_none_is_told() -> None:
    with pytest.raises(DataError, match="method is 'sgd', it must be 'adamw' or 'muon'"):
        OptimizerSettings(method="sgd")  # type: ignore[arg-type]


def test_gradients_are_averaged_over_processes_in_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two processes, of which the other's gradients are three times as large.
    monkeypatch.setattr(optimization.dist, "get_world_size", lambda: 2)
    sizes = []
    monkeypatch.setattr(optimization.dist, "all_reduce", lambda x: sizes.append(len(x.mul_(4))))
    monkeypatch.setattr(optimization, "BUCKET", 16)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (10,), (4, 5), (1,), (2,))]
    for number, parameter in enumerate(parameters[:-1]):
        parameter.grad = torch.full_like(parameter, number + 1.0)
    average_gradients(parameters)
    assert sizes == [16, 20, 1]
    assert [p.grad.unique().tolist() for p in parameters[:-1]] == [[2.0], [4.0], [6.0], [8.0]]
    assert parameters[-1].grad is None


@pytest.mark.parametrize(("limit", "length"), [(0.0, 5.0), (1.0, 1.0), (10.0, 5.0)])
def test_gradients_are_shortened_to_a_limit(limit: float, length: float) -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    first.grad, second.grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert clip_gradients([first, second, nn.Parameter(torch.zeros(1))], limit) == 5
    assert torch.stack([first.grad, second.grad]).norm().item() == pytest.approx(length)
