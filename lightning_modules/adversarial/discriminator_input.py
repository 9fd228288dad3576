"""Input of the GAN's discriminator: image, raw rendering and disparity as channels, blurred and
augmented alike for photographs and generated images."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_modules.adversarial.adaptive_augmentation import (
    AdaptiveAugmentation,
    ChangeProbability,
)
from lightning_modules.adversarial.diffaugment import augment
from lightning_modules.adversarial.gan_views import Judged
from lightning_modules.training.blur import gaussian_blur
from lightning_modules.training.schedules import Schedule, check_schedule, scheduled_value
from models.scenes import resized


@dataclass(frozen=True)
class InputSettings:
    """What a discriminator is shown.

    blur: standard deviation in pixels of a Gaussian over all images, real and generated, by images
    seen; EG3D fades it out early on. augment: changes to all images, for small data sets.
    disparity: whether it sees the disparity too, which needs depth in the data.
    """

    blur: Schedule = 0.0
    augment: AdaptiveAugmentation = AdaptiveAugmentation()
    disparity: bool = False

    def __post_init__(self) -> None:
        """Raise DataError for blur outside its range and for knots out of order."""
        check_schedule("blur", self.blur, 0, 1000)


class DiscriminatorInput(nn.Module):
    """Images as a discriminator sees them, (N, channels, side, side) in [-1, 1].

    Args:
        resolution: side of the images.
        dual: whether a raw rendering comes with every image (dual discrimination, arXiv 2112.07945,
            section 4.3).
        settings: what is shown.
    """

    def __init__(self, resolution: int, dual: bool, settings: InputSettings) -> None:
        super().__init__()
        self.settings, self.resolution = settings, resolution
        self.changed = ChangeProbability(settings.augment)
        self.colors = 6 if dual else 3
        self.channels = self.colors + settings.disparity

    def forward(self, judged: Judged, images_seen: int, rng: torch.Generator) -> Tensor:
        """Joined, blurred as the schedule says, and augmented with the probability of now."""
        blur = scheduled_value(self.settings.blur, images_seen)
        blurred = gaussian_blur(self.joined(judged), blur)
        changes, probability = self.settings.augment.changes, self.changed.probability
        return augment(blurred, changes, rng, self.colors, probability)

    def joined(self, judged: Judged) -> Tensor:
        """Image, raw rendering and disparity as channels, unchanged."""
        side = self.resolution
        parts = [part for part in (judged.image, judged.raw, judged.disparity) if part is not None]
        # Channels as planes in memory: with so few of them, blur and changes are several times
        # faster than pixel by pixel.
        planes = [resized(part.contiguous(), side, side) for part in parts]
        return 2 * torch.cat(planes, 1) - 1
