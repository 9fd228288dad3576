"""Adaptive augmentation: how often images are changed follows the discriminator's overfitting."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datamodules.errors import DataError, check_number
from lightning_modules.adversarial.diffaugment import Change
from lightning_modules.training.schedules import MOST_IMAGES

HALF_LIFE = 500
"""Images over which half of the average sign of the logits is renewed."""


@dataclass(frozen=True)
class AdaptiveAugmentation:
    """Changes to all that a discriminator sees, for small data sets.

    changes: see `diffaugment`, none by default. target: ADA target for E[sign D(real)], -1 to 1
    (arXiv 2006.06676, section 3): above it the discriminator overfits and changes become more
    frequent, below it rarer, from none at the start; null changes every image (DiffAugment, arXiv
    2006.10738). images: in which their probability can go from 0 to 1, 500,000 in ADA.

    Raises DataError for a target that no mean of signs exceeds, and for no images.
    """

    changes: tuple[Change, ...] = ()
    target: float | None = 0.6
    images: int = 100_000

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.target is not None and not -1 < self.target < 1:
            raise DataError(
                f"target is {self.target}, a mean of signs: give a number between -1 and 1, or "
                "null to change all images."
            )
        check_number("images", self.images, 1, MOST_IMAGES)


class ChangeProbability(nn.Module):
    """The probability of each change, regulated or always 1; what was regulated is saved with the
    run."""

    value: Tensor
    sign: Tensor

    def __init__(self, augmentation: AdaptiveAugmentation) -> None:
        super().__init__()
        self.augmentation = augmentation
        self.register_buffer("value", torch.tensor(0.0))
        self.register_buffer("sign", torch.tensor(0.0))

    @property
    def probability(self) -> Tensor:
        """What it is now, ()."""
        if self.augmentation.target is None:
            return torch.ones_like(self.value)
        return self.value

    @property
    def regulated(self) -> bool:
        """Whether it changes at all."""
        return bool(self.augmentation.changes) and self.augmentation.target is not None

    @torch.no_grad()
    def update(self, sign: Tensor, images: int) -> None:
        """Take in the mean sign () of the logits of a step's photographs, `images` in all
        processes, which must be the same in all of them."""
        if self.augmentation.target is None:
            return
        self.sign.lerp_(sign.to(self.sign), 1 - 0.5 ** (images / HALF_LIFE))
        step = torch.sign(self.sign - self.augmentation.target) * images / self.augmentation.images
        self.value.add_(step).clamp_(0, 1)
