import math

import pytest
import torch
from torch import nn

from lightning_modules.losses.adversarial import discriminator_loss, generator_loss, r1_penalty

LN3 = math.log(3)


def test_non_saturating_by_hand() -> None:
    # softplus(ln 3) = ln 4, softplus(-ln 3) = ln 4/3, softplus(0) = ln 2.
    logits = torch.tensor([LN3, 0.0])
    assert generator_loss(logits).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    loss = discriminator_loss(torch.tensor([LN3]), logits)
    assert loss.item() == pytest.approx(math.log(4 / 3) + (math.log(4) + math.log(2)) / 2)


def test_hinge_by_hand() -> None:
    # Real 2 and 0.5: 0 and 0.5; fake -2 and 1: 0 and 2.
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 1.0])
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx(0.25 + 1.0)
    assert generator_loss(fake, "hinge").item() == pytest.approx(0.5)


@pytest.mark.parametrize("objective", ["non_saturating", "hinge"])
def test_generator_and_discriminator_pull_fakes_apart(objective: str) -> None:
    fake = torch.zeros(3, requires_grad=True)
    (up,) = torch.autograd.grad(generator_loss(fake, objective), fake)
    (down,) = torch.autograd.grad(discriminator_loss(torch.zeros(3), fake, objective), fake)
    assert (up < 0).all()
    assert (down > 0).all()


@pytest.mark.parametrize("batch", [1, 5])
def test_r1_of_a_linear_judge_is_half_its_squared_norm(batch: int) -> None:
    torch.manual_seed(0)
    judge = nn.Linear(3 * 4 * 4, 1)
    images = torch.randn(batch, 3, 4, 4, requires_grad=True)
    penalty = r1_penalty(judge(images.flatten(1))[:, 0], images)
    torch.testing.assert_close(penalty, 0.5 * judge.weight.square().sum())
    (gradient,) = torch.autograd.grad(penalty, judge.weight)
    torch.testing.assert_close(gradient, judge.weight.detach())


def test_r1_is_the_mean_over_images() -> None:
    # D(x) = |x|^2 / 2 has gradient x: 0.5 * mean of |x|^2 = 0.5 * (4 + 16) / 2.
    images = torch.zeros(2, 1, 2, 2)
    images[0], images[1] = 1.0, 2.0
    images.requires_grad_()
    assert r1_penalty(images.square().flatten(1).sum(1) / 2, images).item() == pytest.approx(5.0)
