import pytest
import torch
from torch import Tensor

from lightning_modules.adversarial.adaptive_augmentation import Augmentation
from lightning_modules.adversarial.adversary import DiscriminatorSettings
from lightning_modules.adversarial.blur import gaussian_blur
from lightning_modules.adversarial.critic import Critic, CriticInput
from lightning_modules.adversarial.diffaugment import Change
from lightning_modules.adversarial.gan_views import Judged
from lightning_modules.losses.adversarial import generator_loss
from models.scenes import resized

SETTINGS = DiscriminatorSettings(64, 8, r1=2.0, r1_interval=4)
CHANGES: tuple[Change, ...] = ("color", "translation", "cutout")
LABELS = torch.tensor([0, 1, 0, 1])


def critic(shown: CriticInput = CriticInput(), classes: int = 2, *, dual: bool = True) -> Critic:
    torch.manual_seed(0)
    return Critic(classes, 16, dual, SETTINGS, shown)


def judged(seed: int = 0, *, dual: bool = True, disparity: bool = False) -> Judged:
    rng = torch.Generator().manual_seed(seed)
    raw = torch.rand(4, 3, 8, 8, generator=rng) if dual else None
    near = torch.rand(4, 1, 8, 8, generator=rng) if disparity else None
    return Judged(torch.rand(4, 3, 16, 16, generator=rng), raw, near)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def score(judge: Critic, given: Judged, labels: Tensor = LABELS) -> Tensor:
    return judge.judge(given, labels, 0, generator()).logits


@pytest.mark.parametrize("dual", [True, False])
@pytest.mark.parametrize("disparity", [True, False])
def test_all_that_is_judged_reaches_the_score(dual: bool, disparity: bool) -> None:
    judge = critic(CriticInput(disparity=disparity), dual=dual)
    given = judged(dual=dual, disparity=disparity)
    parts = [part for part in (given.image, given.raw, given.disparity) if part is not None]
    for part in parts:
        part.requires_grad_()
    verdict = judge.judge(given, LABELS, 0, generator())
    verdict.for_scenes(verdict.logits.sum()).backward()
    assert len(parts) == 1 + dual + disparity
    for part in parts:
        assert part.grad is not None
        assert part.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in judge.parameters())


def test_one_verdict_teaches_both_networks_what_two_would() -> None:
    judge, given = critic(), judged()
    given.image.requires_grad_()
    verdict = judge.judge(given, LABELS, 0, generator())
    loss = generator_loss(verdict.logits)
    lesson = verdict.for_scenes(loss)
    assert lesson == loss
    lesson.backward()
    assert all(parameter.grad is None for parameter in judge.parameters())
    judge.learn(judged(1), LABELS, verdict, 0, 1, generator())[0].backward()

    adversary = critic().adversary
    image = given.image.detach().requires_grad_()
    shown = judge._joined(Judged(image, given.raw))
    adversary.learn_from(
        judge._joined(judged(1)), adversary.discriminator(shown.detach(), LABELS), 1, LABELS
    )[0].backward()
    generator_loss(adversary.score(shown, LABELS)).backward()
    torch.testing.assert_close(given.image.grad, image.grad)
    for ours, alone in zip(judge.parameters(), adversary.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, alone.grad)


def test_the_class_matters_where_there_are_classes() -> None:
    one, other = score(critic(), judged()), score(critic(), judged(), 1 - LABELS)
    assert not torch.allclose(one, other)
    same = critic(classes=0)
    assert torch.equal(score(same, judged()), score(same, judged(), 1 - LABELS))


def test_learning_tells_real_from_fake() -> None:
    judge, real, fake = critic(), judged(0), judged(1)
    fake = Judged(fake.image * 0.3, fake.raw)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3, (0.0, 0.99))
    for step in range(30):
        verdict = judge.judge(fake, LABELS, 0, generator())
        loss, logs = judge.learn(real, LABELS, verdict, 0, step, generator())
        assert ("r1" in logs) == (step % 4 == 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logs["accuracy"] == 1
    assert (score(judge, real) - score(judge, fake)).min() > 0


def test_blur_is_over_all_that_is_seen_and_fades() -> None:
    fading, plain = critic(CriticInput(blur=[(0, 3.0), (100, 0.0)])), critic()
    given = judged()
    assert given.raw is not None
    enlarged = resized(given.raw, 16, 16)  # the raw rendering is blurred at the image's size
    blurred = Judged(gaussian_blur(given.image, 3.0), gaussian_blur(enlarged, 3.0))
    torch.testing.assert_close(score(fading, given), score(plain, blurred))
    late = fading.judge(given, LABELS, 100, generator()).logits
    assert torch.equal(late, score(plain, given))


def test_augmentation_changes_what_is_scored_by_the_noise_alone() -> None:
    judge = critic(CriticInput(augment=Augmentation(CHANGES, target=None)))
    first = score(judge, judged())
    assert torch.equal(first, score(judge, judged()))
    other = judge.judge(judged(), LABELS, 0, torch.Generator()).logits
    assert not torch.allclose(first, other)


def test_images_are_changed_once_the_critic_knows_photographs_by_heart() -> None:
    judge = critic(CriticInput(augment=Augmentation(CHANGES, images=1_000)))
    assert torch.equal(score(judge, judged()), score(critic(), judged()))
    judge.changed.update(torch.tensor(1.0), 5_000)
    assert not torch.allclose(score(judge, judged()), score(critic(), judged()))


def test_more_views_than_photographs_may_be_judged() -> None:
    fake = judged(1)
    several = Judged(fake.image.repeat(3, 1, 1, 1), judged(2).raw.repeat(3, 1, 1, 1))
    judge = critic()
    verdict = judge.judge(several, LABELS, 0, generator())
    assert len(verdict.logits) == 12
    loss, _ = judge.learn(judged(), LABELS, verdict, 0, 1, generator())
    assert loss.isfinite()


@pytest.mark.parametrize("scenes", [1, 2, 3])
def test_views_are_compared_in_groups_as_large_as_those_of_photographs(scenes: int) -> None:
    images = torch.rand(2 * scenes, 3, 16, 16, generator=generator())
    judge, labels = critic(dual=False), LABELS[:scenes]
    together = score(judge, Judged(images), labels)
    for view in range(2):  # scene by scene: each group holds one view of every scene
        alone = score(judge, Judged(images[view::2]), labels)
        torch.testing.assert_close(together[view::2], alone)


def test_knots_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="increasing order"):
        CriticInput(blur=[(10, 1.0), (0, 0.0)])
