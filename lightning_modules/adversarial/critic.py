"""The GAN's discriminator: how images reach it, what it tells the generator, how it learns."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_modules.adversarial.adaptive_augmentation import Augmentation, ChangeProbability
from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings
from lightning_modules.adversarial.blur import gaussian_blur
from lightning_modules.adversarial.diffaugment import augment
from lightning_modules.adversarial.gan_views import Judged
from lightning_modules.training.schedules import Schedule, check_schedule, scheduled_value
from models.blocks.discriminators import group_size
from models.scenes import resized


@dataclass(frozen=True)
class CriticInput:
    """What the discriminator sees.

    blur: standard deviation in pixels of a Gaussian over all images, real and generated, by images
    seen; EG3D fades it out early on. augment: changes to all images, for small data sets.
    disparity: whether it sees the disparity too, which needs depth in the data.
    """

    blur: Schedule = 0.0
    augment: Augmentation = Augmentation()
    disparity: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for blur knots out of order."""
        check_schedule(self.blur)


@dataclass(frozen=True)
class Verdict:
    """Generated images as the critic scored them, once for the lessons of both networks.

    shown: (N, C, H, W), with the graph to the scenes; seen: the same values, where the graph of
    the logits begins; logits: (N,).
    """

    shown: Tensor
    seen: Tensor
    logits: Tensor

    def for_scenes(self, loss: Tensor) -> Tensor:
        """A loss () of the logits as one whose gradient reaches the scenes and not the critic.

        It is the loss's linear part around what was shown. The graph of the logits is kept.
        """
        (gradient,) = torch.autograd.grad(loss, self.seen, retain_graph=True)
        return loss.detach() + (gradient * (self.shown - self.shown.detach())).sum()


class Critic(nn.Module):
    """Scores images of classes, with the small rendering behind them where there is one.

    Args:
        classes: number of classes, 0 for none.
        resolution: side of the images.
        dual: whether a raw rendering comes with every image (dual discrimination, arXiv 2112.07945,
            section 4.3).
        settings: size and training.
        view: what it is shown.
    """

    def __init__(
        self,
        classes: int,
        resolution: int,
        dual: bool,
        settings: DiscriminatorSettings,
        view: CriticInput,
    ) -> None:
        super().__init__()
        self.view, self.resolution = view, resolution
        self.changed = ChangeProbability(view.augment)
        self.colors = 6 if dual else 3
        self.adversary = Adversary(
            self.colors + view.disparity, resolution, settings, classes=classes
        )

    def judge(
        self, fake: Judged, labels: Tensor, images_seen: int, rng: torch.Generator
    ) -> Verdict:
        """Score V views each of scenes of labels (B,), compared in groups as large as those of B
        photographs, so that their size does not tell which are which."""
        shown = self._stacked(fake, images_seen, rng)
        seen = shown.detach().requires_grad_()
        classes = labels.repeat_interleave(len(shown) // len(labels))
        logits = self.adversary.discriminator(seen, classes, group_size(len(labels)))
        return Verdict(shown, seen, logits)

    def learn(
        self,
        real: Judged,
        labels: Tensor,
        verdict: Verdict,
        images_seen: int,
        step: int,
        rng: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The critic's loss () and what to log, from photographs of labels (B,) and what it said
        of generated images; step: counts optimiser steps and says when R1 is due."""
        shown = self._stacked(real, images_seen, rng)
        return self.adversary.learn_from(shown, verdict.logits, step, labels)

    @torch.no_grad()
    def features(self, judged: Judged) -> Tensor:
        """What it sees in images (N, F), unchanged ones."""
        return self.adversary.discriminator.features(self._joined(judged))

    def _stacked(self, judged: Judged, images_seen: int, rng: torch.Generator) -> Tensor:
        blurred = gaussian_blur(self._joined(judged), scheduled_value(self.view.blur, images_seen))
        changes, probability = self.view.augment.changes, self.changed.probability
        return augment(blurred, changes, rng, self.colors, probability)

    def _joined(self, judged: Judged) -> Tensor:
        """All that is seen of images as channels in [-1, 1]: image, raw rendering, disparity."""
        side = self.resolution
        parts = [part for part in (judged.image, judged.raw, judged.disparity) if part is not None]
        # Channels as planes in memory: with so few of them, blur and changes are several times
        # faster than pixel by pixel.
        planes = [resized(part.contiguous(), side, side) for part in parts]
        return 2 * torch.cat(planes, 1) - 1
