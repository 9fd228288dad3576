import copy

import pytest
import torch
from torch import nn

from lightning_modules.training.ema import averaged_copy, ema_decay, update_average

NO_RAMP = 1e12


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, value)
    nn.init.constant_(layer.bias, value)
    return layer


@pytest.mark.parametrize("batch", [10, 100, 250])
def test_after_a_half_life_of_images_half_of_the_start_is_left(batch: int) -> None:
    # The model jumps from 0 to 1; whatever the batch, 1000 images later the average is at 0.5.
    average, model = averaged_copy(constant(0.0)), constant(1.0)
    for seen in range(batch, 1001, batch):
        update_average(average, model, ema_decay(batch, seen, half_life=1000, ramp_up=NO_RAMP))
    torch.testing.assert_close(average.weight, torch.full((2, 2), 0.5))
    torch.testing.assert_close(average.bias, torch.full((2,), 0.5))


def test_early_on_the_half_life_is_a_share_of_the_images_seen() -> None:
    # 0.05 * 2000 seen = 100 images: a batch of 50 keeps 0.5 ** (50 / 100).
    assert ema_decay(50, 2000, half_life=10_000, ramp_up=0.05) == pytest.approx(0.5**0.5)
    assert ema_decay(50, 10**7, half_life=10_000, ramp_up=0.05) == pytest.approx(0.5**0.005)
    assert ema_decay(50, 0, half_life=10_000, ramp_up=0.05) == 0.0


def test_statistics_are_averaged_and_integers_stay_exact() -> None:
    model = nn.BatchNorm1d(2)
    average = averaged_copy(model)
    model.num_batches_tracked.fill_(2**40 + 1)  # beyond what a float32 holds
    model.running_mean.fill_(3.0)
    update_average(average, model, decay=0.9)
    assert average.num_batches_tracked.dtype == torch.int64
    assert average.num_batches_tracked.item() == 2**40 + 1
    assert average.running_mean.tolist() == pytest.approx([0.3, 0.3])


def test_the_copy_is_frozen_in_evaluation_mode_and_its_own() -> None:
    model = nn.Sequential(constant(1.0), nn.Dropout())
    average = averaged_copy(model)
    assert not any(p.requires_grad for p in average.parameters())
    assert not average.training
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    nn.init.constant_(model[0].weight, 7.0)
    assert average[0].weight.max() == 1.0


def test_moving_the_average_leaves_the_model_alone() -> None:
    average, model = averaged_copy(constant(0.0)), constant(1.0)
    before = copy.deepcopy(model.state_dict())
    update_average(average, model, decay=0.5)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert average.weight.grad_fn is None
