"""The two discriminators of stage 1, main and novel-view, and what each compares."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datamodules.errors import check_number
from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings, Scored
from lightning_modules.losses.occlusion import Shown
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1_rays import RayPlan, Renderings
from lightning_modules.training.schedules import MOST_IMAGES
from models.autoencoder import TokenAutoencoder
from renderers.rays import rays_to_image

MAIN, NOVEL = "adversarial", "novel_view"
"""Names of the generator's terms."""


@dataclass(frozen=True)
class LateDiscriminator(DiscriminatorSettings):
    """A discriminator that joins in.

    train_from: images seen before it starts to learn; let it start before its weight in the
    generator's loss rises.
    """

    train_from: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        check_number("train_from", self.train_from, 0, MOST_IMAGES)


@dataclass(frozen=True)
class Sides:
    """Real and rendered images to compare, both (b, C, h, w) in [0, 1]."""

    real: Tensor
    fake: Tensor


@dataclass(frozen=True)
class Compared:
    """What one step compares: patches of the images with the rendered ones (RGB), and canonical
    renders with novel views (RGB and disparity); None where nothing was rendered."""

    patch: Sides | None
    novel: Sides | None


class Stage1Adversaries(nn.Module):
    """Main discriminator on canonical patches, auxiliary one on novel views (VQ3D).

    The auxiliary one sees RGB and disparity of whole views on the training grid; its real side is
    the canonical renders, as in Kato and Harada (arXiv 1811.10719). One that no loss weight ever
    uses is not built.
    """

    def __init__(
        self, resolution: int, rays: RayPlan, weights: Stage1Weights, settings: LateDiscriminator
    ) -> None:
        super().__init__()
        self.train_from = settings.train_from
        self.main = self.novel = None
        if weights.ever_used(MAIN):
            self.main = Adversary(3, rays.patch, settings)
        if weights.ever_used(NOVEL):
            self.novel = Adversary(4, resolution // rays.grid_stride, settings)

    def looks_at(self, term: str, images_seen: int, weights: dict[str, float]) -> bool:
        """Whether the discriminator of a term scores this step's images: to be trained, or for the
        generator's loss. Novel views cost as much as the canonical ones."""
        built = self.main if term == MAIN else self.novel
        return built is not None and (weights[term] > 0 or images_seen >= self.train_from)

    def score(
        self, compared: Compared, images_seen: int, weights: dict[str, float]
    ) -> dict[str, Scored]:
        """Rendered images as their discriminators score them, by term."""
        return {
            term: adversary.score(_signed(sides.fake))
            for term, adversary, sides in self._pairs(compared)
            if self.looks_at(term, images_seen, weights)
        }

    def generator_terms(
        self, compared: Compared, scored: dict[str, Scored], weights: dict[str, float]
    ) -> dict[str, Tensor]:
        """The generator's terms whose weight is above zero now."""
        return {
            term: adversary.generator_loss(scored[term])
            for term, adversary, _ in self._pairs(compared)
            if weights[term] > 0
        }

    def discriminator_loss(
        self, compared: Compared, scored: dict[str, Scored], images_seen: int, step: int
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The discriminators' loss (), None while they do not train, and what to log."""
        losses: list[Tensor] = []
        logs: dict[str, Tensor] = {}
        for term, adversary, sides in self._pairs(compared):
            if images_seen < self.train_from:
                break
            loss, found = adversary.discriminator_loss(_signed(sides.real), scored[term], step)
            losses.append(loss)
            name = "main" if term == MAIN else "novel"
            logs |= {f"discriminator_{name}/{key}": value for key, value in found.items()}
        return (torch.stack(losses).sum() if losses else None), logs

    def _pairs(self, compared: Compared) -> Iterator[tuple[str, Adversary, Sides]]:
        """Each discriminator that there is with its term and what it compares."""
        for term, adversary, sides in (
            (MAIN, self.main, compared.patch),
            (NOVEL, self.novel, compared.novel),
        ):
            if adversary is not None and sides is not None:
                yield term, adversary, sides


def compared_images(
    patch: Shown | None, views: Renderings, autoencoder: TokenAutoencoder
) -> Compared:
    """What this step's discriminators and perceptual loss compare, as far as it was rendered.

    patch: rendered patches beside those of the images, if there are any.
    """
    patches = novel_views = None
    if patch is not None:
        patches = Sides(as_image(patch.image), as_image(patch.rgb))
    if views.novel is not None:
        scale, count = autoencoder.scale_disparity, len(views.novel.rgb)
        real = with_disparity(views.grid.rgb, scale(views.grid.disparity))[:count]
        novel = with_disparity(views.novel.rgb, scale(views.novel.disparity))
        novel_views = Sides(as_image(real), as_image(novel))
    return Compared(patches, novel_views)


def as_image(values: Tensor) -> Tensor:
    """Rays of a square view (B, R, C), row by row, as an image (B, C, H, W)."""
    side = round(values.shape[1] ** 0.5)
    return rays_to_image(values, side, side)


def with_disparity(rgb: Tensor, disparity: Tensor) -> Tensor:
    """Append disparity (B, R) in [0, 1] to colours (B, R, 3)."""
    return torch.cat([rgb, disparity[..., None]], -1)


def _signed(images: Tensor) -> Tensor:
    """Images in [0, 1] as the discriminators take them, in [-1, 1]."""
    return 2 * images - 1
