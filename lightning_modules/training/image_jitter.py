"""Random mirroring, shifts, colours and blur of training images, drawn on their device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.training.blur import gaussian_blur

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""


@dataclass(frozen=True)
class Jitter:
    """How far an image may be changed without becoming another.

    shift: largest move along either axis as a share of the side, the edge repeated behind it;
    brightness: largest amount that is added to all colours; contrast, saturation: largest
    deviation from 1 of the factor on the distance from the image's mean, and from its grey image;
    blur: largest standard deviation of a Gaussian, as a share of the side. Half the images are
    mirrored if `mirror`.

    Raises DataError for a number outside its range.
    """

    mirror: bool = True
    shift: float = 0.0625
    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.2
    blur: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("shift", "brightness", "contrast", "saturation", "blur"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise DataError(f"{name} is {value}, it must be at least 0 and below 1.")

    def apply(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Change images (B, 3, H, W) in [0, 1], each in its own way; the result is clipped."""
        changed = self._recoloured(self._moved(images, rng), rng).clamp(0, 1)
        if self.blur == 0:
            return changed
        share = torch.rand(len(images), generator=rng, device=images.device)
        return gaussian_blur(changed, self.blur * images.shape[-1] * share)

    def _moved(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Shifted by whole pixels, and mirrored."""
        batch, _, height, width = images.shape
        uniform = torch.rand(batch, 3, 1, generator=rng, device=images.device)
        rows = _indices(height, self.shift, uniform[:, 0])  # (B, H)
        columns = _indices(width, self.shift, uniform[:, 1])  # (B, W)
        if self.mirror:
            columns = torch.where(uniform[:, 2] < 0.5, columns.flip(1), columns)
        image = torch.arange(batch, device=images.device)[:, None, None]
        # Indices on both sides of a slice put the channels last.
        return images[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _recoloured(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """With other brightness, contrast and saturation."""
        drawn = torch.rand(3, len(images), 1, 1, 1, generator=rng, device=images.device)
        brightness, contrast, saturation = (2 * drawn - 1).unbind(0)  # (B, 1, 1, 1) in [-1, 1)
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * (1 + self.contrast * contrast)
        parts = zip(images.split(1, dim=1), LUMA, strict=True)
        grey = torch.stack([part * weight for part, weight in parts]).sum(0)
        images = grey + (images - grey) * (1 + self.saturation * saturation)
        return images + self.brightness * brightness


def _indices(side: int, shift: float, uniform: Tensor) -> Tensor:
    """Pixel indices (B, side) of rows that moved by at most `shift` of their number."""
    most = int(shift * side)
    moves = (uniform * (2 * most + 1)).long() - most  # (B, 1) in [-most, most]
    places = torch.arange(side, device=uniform.device) + moves
    return places.clamp(0, side - 1)
