"""The benchmark of a whole GAN iteration, at a size that takes seconds."""

import pytest
import torch

from benchmarks.gan_step import PENALISED, PRODUCTS, Setting, Training, check_same, measure
from lightning_modules.adversarial.adversary import DiscriminatorSettings
from models.blocks.plane_decoder import PlaneSize
from models.wildgan import BackboneSize

TINY = Setting(
    classes=100,
    resolution=32,
    raw=16,
    samples=4,
    backbone=BackboneSize(16, 16, channel_base=128, channel_max=16),
    planes=PlaneSize(4, 16),
    judge=DiscriminatorSettings(128, 16, r1=1.0),
)


@pytest.mark.slow
def test_all_sides_are_timed_once_they_agree() -> None:
    times = measure(TINY, rounds=1)
    assert {"ours", "plain", "penalised", "three_views"} <= set(times)
    assert all(seconds > 0 for side in times.values() for seconds in side)


def test_a_side_that_computes_something_else_is_refused() -> None:
    ours, other = (Training(TINY).iterate(PRODUCTS) for _ in range(2))
    check_same(ours, other)
    with pytest.raises(RuntimeError, match="one side is wrong"):
        check_same(ours, 1.2 * other)


def test_r1_is_part_of_the_penalised_iteration_alone() -> None:
    plain, same, penalised = (
        Training(TINY).iterate(torch.float32, step=step) for step in (1, 2, PENALISED)
    )
    assert torch.equal(plain, same)
    assert penalised[1] > plain[1]
