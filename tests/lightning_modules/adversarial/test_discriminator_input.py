from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.adversarial.adaptive_augmentation import AdaptiveAugmentation
from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings, Scored
from lightning_modules.adversarial.diffaugment import Change
from lightning_modules.adversarial.discriminator_input import DiscriminatorInput, InputSettings
from lightning_modules.adversarial.gan_views import Judged
from lightning_modules.training.blur import gaussian_blur
from models.blocks.discriminators import group_size
from models.scenes import resized

SETTINGS = DiscriminatorSettings(64, 8, r1=2.0, r1_interval=4)
CHANGES: tuple[Change, ...] = ("color", "translation", "cutout")
LABELS = torch.tensor([0, 1, 0, 1])


@dataclass
class Judge:
    """A discriminator behind its input, as the GAN uses them."""

    shown: DiscriminatorInput
    adversary: Adversary

    def score(
        self, given: Judged, labels: Tensor, images_seen: int, rng: torch.Generator
    ) -> Scored:
        images = self.shown(given, images_seen, rng)
        classes = labels.repeat_interleave(len(images) // len(labels))
        return self.adversary.score(images, classes, group_size(len(labels)))

    def loss(self, real: Judged, scored: Scored, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        images = self.shown(real, 0, generator())
        return self.adversary.discriminator_loss(images, scored, step, LABELS)


def judge_of(
    settings: InputSettings = InputSettings(), classes: int = 2, *, dual: bool = True
) -> Judge:
    torch.manual_seed(0)
    shown = DiscriminatorInput(16, dual, settings)
    return Judge(shown, Adversary(shown.channels, 16, SETTINGS, classes))


def judged(seed: int = 0, *, dual: bool = True, disparity: bool = False) -> Judged:
    rng = torch.Generator().manual_seed(seed)
    raw = torch.rand(4, 3, 8, 8, generator=rng) if dual else None
    near = torch.rand(4, 1, 8, 8, generator=rng) if disparity else None
    return Judged(torch.rand(4, 3, 16, 16, generator=rng), raw, near)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def score(judge: Judge, given: Judged, labels: Tensor = LABELS) -> Tensor:
    return judge.score(given, labels, 0, generator()).logits


@pytest.mark.parametrize("dual", [True, False])
@pytest.mark.parametrize("disparity", [True, False])
def test_all_that_is_judged_reaches_the_score(dual: bool, disparity: bool) -> None:
    judge = judge_of(InputSettings(disparity=disparity), dual=dual)
    given = judged(dual=dual, disparity=disparity)
    parts = [part for part in (given.image, given.raw, given.disparity) if part is not None]
    for part in parts:
        part.requires_grad_()
    scored = judge.score(given, LABELS, 0, generator())
    scored.linearised(scored.logits.sum()).backward()
    assert len(parts) == 1 + dual + disparity
    for part in parts:
        assert part.grad is not None
        assert part.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in judge.adversary.parameters())
    assert not list(judge.shown.parameters())


def test_the_class_matters_where_there_are_classes() -> None:
    one, other = score(judge_of(), judged()), score(judge_of(), judged(), 1 - LABELS)
    assert not torch.allclose(one, other)
    same = judge_of(classes=0)
    assert torch.equal(score(same, judged()), score(same, judged(), 1 - LABELS))


def test_learning_tells_real_from_fake() -> None:
    judge, real, fake = judge_of(), judged(0), judged(1)
    fake = Judged(fake.image * 0.3, fake.raw)
    optimizer = torch.optim.Adam(judge.adversary.parameters(), 2e-3, (0.0, 0.99))
    for step in range(30):
        scored = judge.score(fake, LABELS, 0, generator())
        loss, logs = judge.loss(real, scored, step)
        assert ("r1" in logs) == (step % 4 == 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logs["accuracy"] == 1
    assert (score(judge, real) - score(judge, fake)).min() > 0


def test_blur_is_over_all_that_is_seen_and_fades() -> None:
    fading, plain = judge_of(InputSettings(blur=[(0, 3.0), (100, 0.0)])), judge_of()
    given = judged()
    assert given.raw is not None
    enlarged = resized(given.raw, 16, 16)  # the raw rendering is blurred at the image's size
    blurred = Judged(gaussian_blur(given.image, 3.0), gaussian_blur(enlarged, 3.0))
    torch.testing.assert_close(score(fading, given), score(plain, blurred))
    late = fading.score(given, LABELS, 100, generator()).logits
    assert torch.equal(late, score(plain, given))


def test_augmentation_changes_what_is_scored_by_the_noise_alone() -> None:
    judge = judge_of(InputSettings(augment=AdaptiveAugmentation(CHANGES, target=None)))
    first = score(judge, judged())
    assert torch.equal(first, score(judge, judged()))
    other = judge.score(judged(), LABELS, 0, torch.Generator()).logits
    assert not torch.allclose(first, other)


def test_images_are_changed_once_the_discriminator_overfits() -> None:
    judge = judge_of(InputSettings(augment=AdaptiveAugmentation(CHANGES, images=1_000)))
    assert torch.equal(score(judge, judged()), score(judge_of(), judged()))
    judge.shown.changed.update(torch.tensor(1.0), 5_000)
    assert not torch.allclose(score(judge, judged()), score(judge_of(), judged()))


def test_more_views_than_photographs_may_be_judged() -> None:
    fake = judged(1)
    several = Judged(fake.image.repeat(3, 1, 1, 1), judged(2).raw.repeat(3, 1, 1, 1))
    judge = judge_of()
    scored = judge.score(several, LABELS, 0, generator())
    assert len(scored.logits) == 12
    loss, _ = judge.loss(judged(), scored, 1)
    assert loss.isfinite()


@pytest.mark.parametrize("scenes", [1, 2, 3])
def test_views_are_compared_in_groups_as_large_as_those_of_photographs(scenes: int) -> None:
    images = torch.rand(2 * scenes, 3, 16, 16, generator=generator())
    judge, labels = judge_of(dual=False), LABELS[:scenes]
    together = score(judge, Judged(images), labels)
    for view in range(2):  # scene by scene: each group holds one view of every scene
        alone = score(judge, Judged(images[view::2]), labels)
        torch.testing.assert_close(together[view::2], alone)


def test_knots_out_of_order_are_refused() -> None:
    with pytest.raises(DataError, match="increasing order"):
        InputSettings(blur=[(10, 1.0), (0, 0.0)])
