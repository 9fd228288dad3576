"""The two discriminators of stage 1, main and novel-view, and what each is shown."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_modules.adversarial.adversary import (
    Adversary,
    DiscriminatorSettings,
    as_image,
    with_disparity,
)
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1_rays import Pixels, RayPlan, Renderings
from models.spaces import ContractedSpace
from renderers.pixels import gather_image


@dataclass(frozen=True)
class LateDiscriminator(DiscriminatorSettings):
    """A discriminator that joins in.

    train_from: images seen before it starts to learn; let it start before its weight in the
    generator's loss rises.
    """

    train_from: int = 0


class Stage1Adversaries(nn.Module):
    """Main discriminator on canonical patches, auxiliary one on novel views (VQ3D).

    The auxiliary one sees RGB and disparity of whole views on the training grid; its real side is
    the canonical renders, as in Kato and Harada (arXiv 1811.10719). One that no loss weight ever
    uses is not built.
    """

    def __init__(
        self,
        resolution: int,
        space: ContractedSpace,
        rays: RayPlan,
        weights: Stage1Weights,
        settings: LateDiscriminator,
    ) -> None:
        super().__init__()
        self.space, self.train_from = space, settings.train_from
        self.main = self.novel = None
        if weights.ever_used("adversarial"):
            self.main = Adversary(3, rays.patch, settings)
        if weights.ever_used("novel_view"):
            self.novel = Adversary(4, resolution // rays.grid_stride, settings)

    def needs_novel_views(self, images_seen: int, weights: dict[str, float]) -> bool:
        """Whether anything looks at novel views now: they cost as much as the canonical ones."""
        if self.novel is None:
            return False
        return weights["novel_view"] > 0 or images_seen >= self.train_from

    def judge(self, views: Renderings, weights: dict[str, float]) -> dict[str, Tensor]:
        """The generator's terms whose weight is above zero now."""
        terms = {}
        if self.main is not None and weights["adversarial"] > 0:
            assert views.patch is not None
            terms["adversarial"] = self.main.judge(as_image(views.patch.rgb))
        if self.novel is not None and weights["novel_view"] > 0:
            terms["novel_view"] = self.novel.judge(self._novel_sides(views)[1])
        return terms

    def learn(
        self, images: Tensor, pixels: Pixels, views: Renderings, images_seen: int, step: int
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The discriminators' loss, None while they do not train, and what to log.

        images: (B, 3, H, W) in [0, 1], of which `pixels` and `views` were drawn.
        """
        if images_seen < self.train_from:
            return None, {}
        losses: list[Tensor] = []
        logs: dict[str, Tensor] = {}
        for name, adversary, sides in (
            ("main", self.main, lambda: patch_sides(images, pixels, views)),
            ("novel", self.novel, lambda: self._novel_sides(views)),
        ):
            if adversary is not None:
                loss, seen = adversary.learn(*sides(), step)
                losses.append(loss)
                logs |= {f"discriminator_{name}/{key}": value for key, value in seen.items()}
        return (torch.stack(losses).sum() if losses else None), logs

    def _novel_sides(self, views: Renderings) -> tuple[Tensor, Tensor]:
        """Canonical renders and novel views, both (b, 4, h, w) in [-1, 1], RGB and disparity."""
        assert views.novel is not None
        scale, count = self.space.scale_disparity, len(views.novel.rgb)
        real = with_disparity(views.grid.rgb, scale(views.grid.disparity))[:count]
        novel = with_disparity(views.novel.rgb, scale(views.novel.disparity))
        return as_image(real), as_image(novel)


def patch_sides(images: Tensor, pixels: Pixels, views: Renderings) -> tuple[Tensor, Tensor]:
    """Real and rendered patches (b, 3, p, p) in [-1, 1]."""
    assert pixels.patch is not None
    assert views.patch is not None
    real = gather_image(images[: len(pixels.patch)], pixels.patch)
    return as_image(real), as_image(views.patch.rgb)
