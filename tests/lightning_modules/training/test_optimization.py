import pytest
import torch
from torch import nn

from lightning_modules.training.optimization import OptimizerSettings


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def test_matrices_decay_and_vectors_do_not() -> None:
    # With zero gradients a step of AdamW is the decay alone: w (1 - lr * decay) = 0.95 w.
    model = network()
    nn.init.constant_(model[0].bias, 1.0)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = OptimizerSettings(lr=0.1, weight_decay=0.5).build(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (0.95 if old.ndim == 2 else 1.0))


def test_every_parameter_is_optimised_once_from_a_generator_too() -> None:
    model = network()
    optimizer = OptimizerSettings().build(p for p in model.parameters())
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_settings_reach_adamw() -> None:
    optimizer = OptimizerSettings(lr=0.02, betas=(0.0, 0.9)).build(network().parameters())
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


def test_settings_of_now_replace_those_of_a_checkpoint() -> None:
    before, now = OptimizerSettings(), OptimizerSettings(betas=(0.0, 0.9), weight_decay=0.5)
    optimizer = now.build(network().parameters())
    optimizer.load_state_dict(before.build(network().parameters()).state_dict())
    now.apply(optimizer, 0.3)
    found = [
        (group["lr"], group["betas"], group["weight_decay"]) for group in optimizer.param_groups
    ]
    assert found == [(0.3, (0.0, 0.9), 0.5), (0.3, (0.0, 0.9), 0.0)]
