import math

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.adversarial.adversary import (
    Adversary,
    DiscriminatorSettings,
    as_image,
    with_disparity,
)


def make(**settings: object) -> Adversary:
    torch.manual_seed(0)
    return Adversary(3, 8, DiscriminatorSettings(channel_base=64, channel_max=16, **settings))


def pictures(seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(4, 3, 8, 8, generator=rng) - 1


class Mean(nn.Module):
    """Scores an image by the mean of its values."""

    def forward(self, images: Tensor, labels: None = None) -> Tensor:
        return images.mean((1, 2, 3))


def test_judging_moves_the_fake_and_not_the_judge() -> None:
    adversary, fake = make(), pictures(0).requires_grad_()
    adversary.judge(fake).backward()
    assert (fake.grad.abs().sum((1, 2, 3)) > 0).all()
    assert all(p.grad is None for p in adversary.parameters())
    assert all(p.requires_grad for p in adversary.parameters())


def test_the_judged_step_makes_the_fake_look_more_real() -> None:
    adversary, fake = make(), pictures(0).requires_grad_()
    before = adversary.judge(fake)
    before.backward()
    step = fake.detach() - 0.01 * fake.grad / fake.grad.norm()
    assert adversary.judge(step) < before
    assert adversary.discriminator(step).mean() > adversary.discriminator(fake).mean()


def test_learning_moves_the_judge_and_not_the_pictures() -> None:
    adversary = make()
    real, fake = pictures(0).requires_grad_(), pictures(1).requires_grad_()
    loss, _ = adversary.learn(real, fake, step=0)
    loss.backward()
    assert real.grad is None
    assert fake.grad is None
    for name, parameter in adversary.named_parameters():
        assert parameter.grad is not None, name


def test_r1_is_paid_every_interval_and_multiplied_by_it() -> None:
    adversary = make(r1=2.0, r1_interval=4)
    paid = {}
    for step in range(9):
        loss, logs = adversary.learn(pictures(0), pictures(1), step)
        if "r1" in logs:
            paid[step] = loss - logs["loss"], logs["r1"]
        else:
            assert loss == logs["loss"]
    assert list(paid) == [0, 4, 8]
    extra, r1 = paid[4]
    assert r1 > 0
    torch.testing.assert_close(extra.detach(), 2.0 * 4 * r1)


def test_without_gamma_r1_is_never_computed() -> None:
    _, logs = make(r1=0.0).learn(pictures(0), pictures(1), step=0)
    assert "r1" not in logs


def test_loss_and_accuracy_by_hand() -> None:
    # Logits 1 for real and (-1, 0.5) for fakes; softplus(-1) = 0.313262, softplus(0.5) = 0.974077.
    # Both real are taken as real, one of two fakes as fake: accuracy 3/4.
    adversary = make(r1=0.0)
    adversary.discriminator = Mean()
    real = torch.ones(2, 3, 8, 8)
    fake = torch.tensor([-1.0, 0.5])[:, None, None, None].expand(2, 3, 8, 8)
    loss, logs = adversary.learn(real, fake, step=1)
    assert loss.item() == pytest.approx(0.313262 + (0.313262 + 0.974077) / 2, abs=1e-5)
    assert logs["accuracy"].item() == pytest.approx(0.75)
    # The generator: mean of softplus(1) = 1.313262 and softplus(-0.5) = 0.474077.
    assert adversary.judge(fake).item() == pytest.approx((1.313262 + 0.474077) / 2, abs=1e-5)


def test_hinge_is_used_when_asked_for() -> None:
    adversary = make(r1=0.0, objective="hinge")
    adversary.discriminator = Mean()
    real, fake = torch.full((1, 3, 8, 8), 0.25), torch.full((1, 3, 8, 8), 0.5)
    assert adversary.learn(real, fake, step=1)[0].item() == pytest.approx(0.75 + 1.5)
    assert adversary.judge(fake).item() == pytest.approx(-0.5)


def test_rays_become_an_image_row_by_row() -> None:
    rays = torch.arange(8.0).reshape(1, 4, 2) / 7  # 2 x 2 pixels of 2 channels
    image = as_image(rays)
    assert image.shape == (1, 2, 2, 2)
    torch.testing.assert_close(image[0, 0], 2 * torch.tensor([[0.0, 2.0], [4.0, 6.0]]) / 7 - 1)
    assert image.min() == -1
    assert math.isclose(image.max(), 1)


def test_disparity_becomes_the_fourth_channel() -> None:
    rgb, disparity = torch.rand(2, 16, 3), torch.rand(2, 16)
    joined = as_image(with_disparity(rgb, disparity))
    assert joined.shape == (2, 4, 4, 4)
    torch.testing.assert_close(joined[:, 3], 2 * disparity.reshape(2, 4, 4) - 1)
    torch.testing.assert_close(joined[:, :3], as_image(rgb))
