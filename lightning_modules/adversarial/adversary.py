"""A discriminator with its training: scores of generated images, and the losses of both sides."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datamodules.errors import check_number
from lightning_modules.losses.adversarial import (
    AdversarialObjective,
    discriminator_loss,
    generator_loss,
    r1_penalty,
)
from lightning_modules.training.schedules import MOST_WEIGHT
from models.blocks.discriminators import Discriminator
from models.limits import SIDES, WIDTHS


@dataclass(frozen=True)
class DiscriminatorSettings:
    """Size and training of a discriminator.

    channel_base, channel_max: see `Discriminator`. r1: gamma of the R1 penalty on images as they
    are shown, applied every `r1_interval` steps and multiplied by that interval (lazy
    regularisation, arXiv 1912.04958 section 3.1).

    Raises DataError for a number outside its range.
    """

    channel_base: int = 4096
    channel_max: int = 256
    objective: AdversarialObjective = "non_saturating"
    r1: float = 10.0
    r1_interval: int = 16

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("channel_base", self.channel_base, 1, SIDES[1] * WIDTHS[1])
        check_number("channel_max", self.channel_max, *WIDTHS)
        check_number("r1", self.r1, 0, MOST_WEIGHT)
        check_number("r1_interval", self.r1_interval, 1, 1_000_000)


@dataclass(frozen=True)
class Scored:
    """Generated images and their logits, computed once for the losses of both networks.

    images: (N, C, H, W) in [-1, 1], with the graph to the scenes; seen: the same values, where the
    graph of the logits begins; logits: (N,).
    """

    images: Tensor
    seen: Tensor
    logits: Tensor

    def linearised(self, loss: Tensor) -> Tensor:
        """A loss () of the logits as one whose gradient reaches the scenes and not the
        discriminator: the loss's linear part around the images. The graph of the logits is kept."""
        (gradient,) = torch.autograd.grad(loss, self.seen, retain_graph=True)
        return loss.detach() + (gradient * (self.images - self.images.detach())).sum()


class Adversary(nn.Module):
    """Trains a discriminator of square images (B, C, H, W) in [-1, 1], of classes where there are
    any, and gives the generator its loss."""

    def __init__(
        self, channels: int, resolution: int, settings: DiscriminatorSettings, classes: int = 0
    ) -> None:
        super().__init__()
        self.settings = settings
        self.discriminator = Discriminator(
            channels, resolution, settings.channel_base, settings.channel_max, classes
        )

    def score(
        self, fake: Tensor, labels: Tensor | None = None, members: int | None = None
    ) -> Scored:
        """Score generated images (N, C, H, W), whatever their graph.

        labels: (N,), needed with classes; members: see `minibatch_stddev`.
        """
        seen = fake.detach().requires_grad_()
        return Scored(fake, seen, self.discriminator(seen, labels, members))

    def generator_loss(self, scored: Scored) -> Tensor:
        """The generator's loss () of images that were scored; the discriminator gets no gradient
        of it."""
        return scored.linearised(generator_loss(scored.logits, self.settings.objective))

    def discriminator_loss(
        self, real: Tensor, scored: Scored, step: int, labels: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss () and what to log; real images and scenes get no gradient.

        Args:
            real: (B, C, H, W).
            scored: generated images, once scored.
            step: counts optimiser steps and says when R1 is due.
            labels: (B,) of the real images.
        """
        penalise = self.settings.r1 > 0 and step % self.settings.r1_interval == 0
        real = real.detach().requires_grad_(penalise)
        # Compiled blocks have no second derivative.
        with torch.compiler.set_stance("force_eager") if penalise else nullcontext():
            real_logits = self.discriminator(real, labels)
        loss = discriminator_loss(real_logits, scored.logits, self.settings.objective)
        right = (real_logits > 0).float().mean() + (scored.logits < 0).float().mean()
        logs = {
            "loss": loss.detach(),
            "accuracy": 0.5 * right,
            "real_sign": real_logits.detach().sign().mean(),
        }
        if penalise:
            r1 = r1_penalty(real_logits, real)
            loss = loss + self.settings.r1 * self.settings.r1_interval * r1
            logs["r1"] = r1.detach()
        return loss, logs
