"""Distances of a rendering from a photograph."""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.losses.perceptual import (
    SMALLEST_FOR_VGG,
    PerceptualLoss,
    find_vgg16_weights,
)

SMALLEST = 8
"""Side in pixels of the coarsest scale, at least."""


class ImageDistance(Protocol):
    """A differentiable distance of images, with the name it goes by in results."""

    @property
    def name(self) -> str:
        """Name of what is compared."""

    def __call__(self, images: Tensor, photo: Tensor) -> Tensor:
        """Mean distance () of images (B, 3, H, W) and a photograph of their shape, in [0, 1]."""


class FeatureDistance:
    """Squared distance of VGG16's features, by the weights of LPIPS (arXiv 1801.03924)."""

    name = "VGG16 features (LPIPS)"

    def __init__(self, perceptual_weights: str | None) -> None:
        self.loss = PerceptualLoss(perceptual_weights)

    def __call__(self, images: Tensor, photo: Tensor) -> Tensor:
        """Mean LPIPS."""
        return self.loss(images, photo)


class PixelDistance:
    """Squared distance of pixels, averaged over scales from the whole image to 8 pixels.

    Coarse scales see a displaced edge as a small change, where pixels alone see none or a full one.
    """

    name = "pixels at several scales"

    def __call__(self, images: Tensor, photo: Tensor) -> Tensor:
        """Mean over scales of the mean squared difference; each halves the one before."""
        difference = images - photo
        errors = [difference.square().mean()]
        while min(difference.shape[-2:]) >= 2 * SMALLEST:
            difference = F.avg_pool2d(difference, 2)
            errors.append(difference.square().mean())
        return sum(errors[1:], errors[0]) / len(errors)


def open_distance(perceptual_weights: str | None, side: int) -> ImageDistance:
    """The distance of VGG16's features where its weights are named or cached, else of pixels.

    side: of the images, in pixels.

    Raises:
        DataError: the weights that are named are not there or are others.
    """
    if perceptual_weights is None:
        try:
            find_vgg16_weights(None)
        except FileNotFoundError:
            return PixelDistance()
        if side < SMALLEST_FOR_VGG:
            return PixelDistance()
    try:
        return FeatureDistance(perceptual_weights)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no file {perceptual_weights} with VGG16's weights: check "
            "--perceptual_weights, or leave it out to compare pixels."
        ) from error
