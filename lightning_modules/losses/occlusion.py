"""What an image shows of its object, and losses that look at nothing else (GINA-3D).

A mask says of every pixel whether it shows the object, what is behind it, or what is before it.
The object goes on behind an occluder: its pixels say nothing about the object, neither its colour
nor that there is none. The equations are ours; arXiv 2304.02163 states that visible pixels of the
object alone drive its reconstruction.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT, MASK_OCCLUDER

Occluders = Literal["unseen", "object"]
"""What pixels of occluders count as: nothing seen, or, as a plain loss has it, the object."""


@dataclass(frozen=True)
class Visible:
    """Pixels (B, R) bool that show the object, and those that show what is behind it; those of
    neither are before it, or unknown."""

    object: Tensor
    background: Tensor

    @property
    def either(self) -> Tensor:
        """Pixels that say something about the object."""
        return self.object | self.background


def visible_pixels(codes: Tensor, occluders: Occluders = "unseen") -> Visible:
    """Sort pixels by their mask codes (B, R), of `datamodules.modalities`.

    >>> visible_pixels(torch.tensor([[0, 1, 2, 255]])).either.tolist()
    [[True, True, False, False]]
    """
    shown = codes == MASK_OBJECT
    if occluders == "object":
        shown = shown | (codes == MASK_OCCLUDER)
    return Visible(shown, codes == MASK_BACKGROUND)


def composite(
    rgb: Tensor, opacity: Tensor, image: Tensor, visible: Visible, behind: float
) -> Tensor:
    """Complete renderings of objects to what the image would show: (B, R, 3).

        x~ = A C + (1 - A) b   on the object,
        x~ = A C + (1 - A) x   on the background,
        x~ = x                 elsewhere, without a gradient

    with colour C and opacity A of the rendering, x the image, and b the grey level behind the
    scene: an object that is missing where the image shows it is an error, one that is missing where
    the image shows what is behind it is none.

    Args:
        rgb: (B, R, 3) A C + (1 - A) b.
        opacity: (B, R) A.
        image: (B, R, 3) x in [0, 1].
        visible: of the same pixels.
        behind: b in [0, 1].
    """
    through = (1 - opacity)[..., None]
    over_image = rgb + through * (image - behind)
    shown = torch.where(visible.background[..., None], over_image, rgb)
    return torch.where(visible.either[..., None], shown, image)


def alpha_loss(opacity: Tensor, visible: Visible) -> Tensor:
    """Mean of (A - 1)^2 over pixels of the object and A^2 over those of the background, ().

    Squares, for a young model cannot tell the two apart: absolute differences would have it leave
    out the object, the rarer of both, and transparent scenes learn nothing more.

    Args:
        opacity: (B, R) A in [0, 1].
        visible: of the same pixels; without any the loss is 0.

    >>> visible = visible_pixels(torch.tensor([[1, 0, 2]]))
    >>> round(alpha_loss(torch.tensor([[0.75, 0.25, 0.5]]), visible).item(), 4)
    0.0625
    """
    return mean_over((opacity - visible.object.float()).square(), visible.either)


def opacity_entropy(opacity: Tensor, visible: Visible | None) -> Tensor:
    """Mean entropy of opacities (B, R) in nats, over visible pixels or all: 0 where every ray meets
    something solid or nothing, log 2 where all are half transparent.

    >>> round(opacity_entropy(torch.tensor([[0.5, 1.0]]), None).item(), 4)
    0.3466
    """
    a = opacity.clamp(1e-6, 1 - 1e-6)
    entropy = -(a * a.log() + (1 - a) * (1 - a).log())
    return entropy.mean() if visible is None else mean_over(entropy, visible.either)


def require_masks(visible: Visible | None) -> Visible:
    """The visible pixels; DataError if nothing tells them: without masks, or in scenes that go on
    for ever, whose rays meet something everywhere."""
    if visible is None:
        raise DataError(
            "weights.alpha compares opacity with masks, and rays through scenes that go on behind "
            "their object are opaque: set `data.mask` to true, or of such scenes "
            "`model.weights.alpha` to 0."
        )
    return visible


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Mean of values (B, R) over pixels (B, R) bool, 0 where there are none."""
    return torch.where(where, values, 0.0).sum() / where.sum().clamp(min=1)


@dataclass(frozen=True)
class Shown:
    """Renderings of B images beside what the images show at the same pixels.

    rendered, rgb: (B, R, 3) as rendered, and completed by `composite` where masks are known; image:
    (B, R, 3) in [0, 1]; opacity: (B, R); visible: None where masks are not known.
    """

    rendered: Tensor
    rgb: Tensor
    image: Tensor
    opacity: Tensor
    visible: Visible | None

    def l2(self) -> Tensor:
        """Mean squared difference of completed rendering and image over visible pixels, ()."""
        squares = (self.rgb.float() - self.image).square().mean(-1)
        return squares.mean() if self.visible is None else mean_over(squares, self.visible.either)

    @torch.no_grad()
    def l2_by_mask(self) -> dict[str, Tensor]:
        """Mean squared differences on the object, on the background as completed, and, of what is
        rendered there, before the object, by name: what is learned and what is left open."""
        if self.visible is None:
            return {}
        seen, behind = self.visible.object, self.visible.background
        completed = (self.rgb.float() - self.image).square().mean(-1)
        rendered = (self.rendered.float() - self.image).square().mean(-1)
        return {
            "l2_object": mean_over(completed, seen),
            "l2_background": mean_over(completed, behind),
            "l2_occluder": mean_over(rendered, ~self.visible.either),
        }


def shown(
    rgb: Tensor, opacity: Tensor, image: Tensor, visible: Visible | None, behind: float | None
) -> Shown:
    """Set renderings (B, R, 3) of opacity (B, R) beside images (B, R, 3), completed where it is
    known what these show, and the scenes have a grey level `behind` them and nothing else."""
    if visible is None or behind is None:
        return Shown(rgb, rgb, image, opacity, None)
    return Shown(rgb, composite(rgb, opacity, image, visible, behind), image, opacity, visible)
