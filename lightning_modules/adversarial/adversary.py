"""A discriminator with its losses: what a generator is judged by, and how the judge is trained."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightning_modules.losses.adversarial import (
    AdversarialObjective,
    discriminator_loss,
    generator_loss,
    r1_penalty,
)
from models.blocks.discriminators import Discriminator


@dataclass(frozen=True)
class DiscriminatorSettings:
    """Size and training of a discriminator.

    channel_base, channel_max: see `Discriminator`. r1: gamma of the R1 penalty on images as they
    are shown, applied every `r1_interval` steps and multiplied by that interval (lazy
    regularisation, arXiv 1912.04958 section 3.1).

    Raises ValueError for an interval below 1.
    """

    channel_base: int = 4096
    channel_max: int = 256
    objective: AdversarialObjective = "non_saturating"
    r1: float = 10.0
    r1_interval: int = 16

    def __post_init__(self) -> None:
        """Check the interval."""
        if self.r1_interval < 1:
            raise ValueError(f"r1_interval is {self.r1_interval} steps, it must be at least 1.")


class Adversary(nn.Module):
    """Judge of square images (B, C, H, W) in [-1, 1], of classes where there are any."""

    def __init__(
        self, channels: int, resolution: int, settings: DiscriminatorSettings, classes: int = 0
    ) -> None:
        super().__init__()
        self.settings = settings
        self.discriminator = Discriminator(
            channels, resolution, settings.channel_base, settings.channel_max, classes
        )

    def score(self, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (B,); gradients reach `fake` and leave the discriminator alone.

        labels: (B,), needed with classes.
        """
        weights = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        logits: Tensor = functional_call(self.discriminator, weights, (fake, labels))
        return logits

    def judge(self, fake: Tensor) -> Tensor:
        """The generator's loss () of images without classes, see `score`."""
        return generator_loss(self.score(fake), self.settings.objective)

    def learn(
        self,
        real: Tensor,
        fake: Tensor,
        step: int,
        labels: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss (), and what to log; `fake` and `real` get no gradients.

        step: counts optimiser steps and says when R1 is due; labels: of real and of fake images.
        """
        fake_logits = self.discriminator(fake.detach(), labels[1])
        return self.learn_from(real, fake_logits, step, labels[0])

    def learn_from(
        self, real: Tensor, fake_logits: Tensor, step: int, labels: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`learn`, generated images having been scored already; labels: of real images."""
        penalise = self.settings.r1 > 0 and step % self.settings.r1_interval == 0
        real = real.detach().requires_grad_(penalise)
        real_logits = self.discriminator(real, labels)
        loss = discriminator_loss(real_logits, fake_logits, self.settings.objective)
        logs = {
            "loss": loss.detach(),
            "accuracy": 0.5 * ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()),
            "real_sign": real_logits.detach().sign().mean(),
        }
        if penalise:
            r1 = r1_penalty(real_logits, real)
            loss = loss + self.settings.r1 * self.settings.r1_interval * r1
            logs["r1"] = r1.detach()
        return loss, logs


def as_image(values: Tensor) -> Tensor:
    """Rays of a square view (B, R, C) in [0, 1] as an image (B, C, H, W) in [-1, 1]."""
    side = round(values.shape[1] ** 0.5)
    return 2 * values.transpose(1, 2).unflatten(2, (side, side)) - 1


def with_disparity(rgb: Tensor, disparity: Tensor) -> Tensor:
    """Append disparity (B, R) in [0, 1] to colours (B, R, 3)."""
    return torch.cat([rgb, disparity[..., None]], -1)
