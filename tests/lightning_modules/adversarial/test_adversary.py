import pytest
import torch
from torch import Tensor, nn

from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings
from lightning_modules.losses.adversarial import discriminator_loss, generator_loss


def make(**settings: object) -> Adversary:
    torch.manual_seed(0)
    return Adversary(3, 8, DiscriminatorSettings(channel_base=64, channel_max=16, **settings))


def pictures(seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(4, 3, 8, 8, generator=rng) - 1


class Mean(nn.Module):
    """Scores an image by the mean of its values."""

    def forward(self, images: Tensor, labels: None = None, members: None = None) -> Tensor:
        return images.mean((1, 2, 3))


def test_the_generators_loss_moves_the_fake_and_not_the_discriminator() -> None:
    adversary, fake = make(), pictures(0).requires_grad_()
    adversary.generator_loss(adversary.score(fake)).backward()
    assert (fake.grad.abs().sum((1, 2, 3)) > 0).all()
    assert all(p.grad is None for p in adversary.parameters())
    assert all(p.requires_grad for p in adversary.parameters())


def test_a_step_down_the_generators_loss_makes_the_fake_look_more_real() -> None:
    adversary, fake = make(), pictures(0).requires_grad_()
    before = adversary.generator_loss(adversary.score(fake))
    before.backward()
    step = fake.detach() - 0.01 * fake.grad / fake.grad.norm()
    assert adversary.generator_loss(adversary.score(step)) < before
    assert adversary.discriminator(step).mean() > adversary.discriminator(fake).mean()


def test_the_discriminators_loss_moves_the_discriminator_and_not_the_pictures() -> None:
    adversary = make()
    real, fake = pictures(0).requires_grad_(), pictures(1).requires_grad_()
    loss, _ = adversary.discriminator_loss(real, adversary.score(fake), step=0)
    loss.backward()
    assert real.grad is None
    assert fake.grad is None
    for name, parameter in adversary.named_parameters():
        assert parameter.grad is not None, name


def test_one_scoring_teaches_both_networks_what_two_would() -> None:
    adversary, fake, real = make(), pictures(0).requires_grad_(), pictures(1)
    scored = adversary.score(fake)
    loss = adversary.generator_loss(scored)
    assert loss == generator_loss(scored.logits)
    loss.backward()
    adversary.discriminator_loss(real, scored, step=1)[0].backward()

    alone, image = make(), fake.detach().requires_grad_()
    generator_loss(alone.discriminator(image)).backward()
    torch.testing.assert_close(fake.grad, image.grad)
    alone.zero_grad()
    logits = alone.discriminator(real), alone.discriminator(fake.detach())
    discriminator_loss(*logits).backward()
    for ours, theirs in zip(adversary.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_r1_is_paid_every_interval_and_multiplied_by_it() -> None:
    adversary = make(r1=2.0, r1_interval=4)
    paid = {}
    for step in range(9):
        scored = adversary.score(pictures(1))
        loss, logs = adversary.discriminator_loss(pictures(0), scored, step)
        if "r1" in logs:
            paid[step] = loss - logs["loss"], logs["r1"]
        else:
            assert loss == logs["loss"]
    assert list(paid) == [0, 4, 8]
    extra, r1 = paid[4]
    assert r1 > 0
    torch.testing.assert_close(extra.detach(), 2.0 * 4 * r1)


def test_without_gamma_r1_is_never_computed() -> None:
    adversary = make(r1=0.0)
    _, logs = adversary.discriminator_loss(pictures(0), adversary.score(pictures(1)), step=0)
    assert "r1" not in logs


def test_loss_and_accuracy_by_hand() -> None:
    # Logits 1 for real and (-1, 0.5) for fakes; softplus(-1) = 0.313262, softplus(0.5) = 0.974077.
    # Both real are taken as real, one of two fakes as fake: accuracy 3/4.
    adversary = make(r1=0.0)
    adversary.discriminator = Mean()
    real = torch.ones(2, 3, 8, 8)
    fake = torch.tensor([-1.0, 0.5])[:, None, None, None].expand(2, 3, 8, 8)
    scored = adversary.score(fake)
    loss, logs = adversary.discriminator_loss(real, scored, step=1)
    assert loss.item() == pytest.approx(0.313262 + (0.313262 + 0.974077) / 2, abs=1e-5)
    assert logs["accuracy"].item() == pytest.approx(0.75)
    # The generator: mean of softplus(1) = 1.313262 and softplus(-0.5) = 0.474077.
    expected = (1.313262 + 0.474077) / 2
    assert adversary.generator_loss(scored).item() == pytest.approx(expected, abs=1e-5)


def test_hinge_is_used_when_asked_for() -> None:
    adversary = make(r1=0.0, objective="hinge")
    adversary.discriminator = Mean()
    real, fake = torch.full((1, 3, 8, 8), 0.25), torch.full((1, 3, 8, 8), 0.5)
    scored = adversary.score(fake)
    loss, _ = adversary.discriminator_loss(real, scored, step=1)
    assert loss.item() == pytest.approx(0.75 + 1.5)
    assert adversary.generator_loss(scored).item() == pytest.approx(-0.5)
