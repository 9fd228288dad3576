"""Results of rendering rays, and of rendering images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ImageRendering:
    """Sums along rays, float32: all that is kept of a ray where there are many.

    rgb: (B, R, C) composited features, the background included when one was given.
    depth: (B, R) expected distance along the unit ray; disparity: (B, R) expected 1 / distance.
    Both count the light that passes all samples, 1 - opacity, at the far bound, so they need no
    division and are never NaN.
    opacity: (B, R) in [0, 1], the sum of the weights.
    """

    rgb: Tensor
    depth: Tensor
    disparity: Tensor
    opacity: Tensor

    @staticmethod
    def empty(rays: int, like: ImageRendering) -> ImageRendering:
        """Return room for the sums of `rays` rays an image, in the other sizes those of `like`."""
        parts = (like.rgb, like.depth, like.disparity, like.opacity)
        return ImageRendering(*(x.new_empty(len(x), rays, *x.shape[2:]) for x in parts))

    def write(self, first: int, part: ImageRendering) -> None:
        """Copy the sums of consecutive rays to their place, from ray `first` on."""
        last = first + part.depth.shape[1]
        self.rgb[:, first:last] = part.rgb
        self.depth[:, first:last] = part.depth
        self.disparity[:, first:last] = part.disparity
        self.opacity[:, first:last] = part.opacity


@dataclass(frozen=True)
class Rendering(ImageRendering):
    """The sums along rays and what they are made of; samples are ordered by distance.

    weights, t: (B, R, S) of the samples, float32.
    """

    weights: Tensor
    t: Tensor
