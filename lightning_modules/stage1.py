"""Stage 1 as a LightningModule: one batch from pixels to logged losses."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules.errors import check_number
from datamodules.schema import Batch, TokenBatch
from lightning_modules.adversarial.stage1_adversaries import (
    NOVEL,
    Compared,
    LateDiscriminator,
    Scored,
    Stage1Adversaries,
    compared_images,
)
from lightning_modules.adversarial.stage1_checks import check_data, check_settings
from lightning_modules.inference.tokenise import sight
from lightning_modules.losses.box_size import box_size_loss
from lightning_modules.losses.code_entropy import code_entropy_loss
from lightning_modules.losses.occlusion import (
    Occluders,
    Shown,
    alpha_loss,
    opacity_entropy,
    require_masks,
    shown,
    visible_pixels,
)
from lightning_modules.losses.perceptual import PerceptualLoss
from lightning_modules.losses.pixel import logit_laplace_loss
from lightning_modules.losses.weights import Stage1Weights, weighted_sum
from lightning_modules.metrics.reconstruction import ReconstructionMetrics
from lightning_modules.pictures.drawing import Pictures
from lightning_modules.pictures.stage1_pictures import reconstruction_pictures
from lightning_modules.stage1_depth import depth_term
from lightning_modules.stage1_hiding import further_hidden
from lightning_modules.stage1_rays import (
    NovelViews,
    Pixels,
    RayPlan,
    Renderings,
    draw_pixels,
    render_views,
    view_images,
)
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.checks import check_warmup
from lightning_modules.training.ema import averaged_copy
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose, seed_dropout
from lightning_modules.training.schedules import Schedule, check_schedule, scheduled_value
from models.autoencoder import Reconstruction, TokenAutoencoder
from models.blocks.quantizer import Quantized, perplexity
from models.scenes import Scenes
from models.spaces import SceneBoxes
from renderers.cameras import Camera
from renderers.pixels import gather_image
from renderers.rendering import Rendering


class Stage1(TrainingModule):
    """Trains a token autoencoder, e.g. VQ3D; progress is counted in images, not in optimiser steps.

    Args:
        autoencoder: images to tokens to scenes.
        max_images: images to train on; learning rates end there and `StopAfterImages` stops.
        weights: loss terms.
        rays: what each training image renders.
        occluders: what the pixels of occluders count as where masks are loaded: `unseen`, or, for
            comparison, the `object`.
        further_hidden: share of the images that the encoder sees behind what hides another image,
            if anything does, so that it learns what is hidden from what is known.
        novel_views: cap of camera offsets that the novel-view discriminator sees.
        novel_views_scale: factor on the cap's extents.
        optimizer, discriminator_optimizer: of the autoencoder and of both discriminators.
        discriminator: size and training of both discriminators.
        perceptual_weights: VGG16 state dict; None looks in torchvision's cache.
        ema_half_life: of the averaged weights, in images; they validate, draw and are exported.
        seed: of rays, sample jitter, novel views and code revival.
    """

    headline = ("val/psnr", "val PSNR {:.2f} dB")
    protocol = (
        "whole validation split, averaged weights, whole images: psnr is the mean over images in "
        "dB, disparity_correlation the mean over images of Pearson's r over pixels with known "
        "disparity, codebook_usage the share of codes that occur"
    )
    autoencoder: TokenAutoencoder
    ema: TokenAutoencoder
    checkpoint_format = 2

    def __init__(
        self,
        autoencoder: TokenAutoencoder,
        max_images: int = 100_000_000,
        weights: Stage1Weights = Stage1Weights(),
        rays: RayPlan = RayPlan(),
        occluders: Occluders = "unseen",
        further_hidden: float = 0.0,
        novel_views: NovelViews = NovelViews(),
        novel_views_scale: Schedule = 1.0,
        optimizer: OptimizerSettings = OptimizerSettings(),
        discriminator_optimizer: OptimizerSettings = OptimizerSettings(
            betas=(0.0, 0.99), grad_clip=0
        ),
        discriminator: LateDiscriminator = LateDiscriminator(),
        perceptual_weights: str | None = None,
        ema_half_life: float = 10_000.0,
        seed: int = 0,
    ) -> None:
        super().__init__(max_images, ema_half_life, seed)
        check_settings(autoencoder, weights, rays)
        check_schedule("model.novel_views_scale", novel_views_scale, 0, 100)
        check_warmup(optimizer, max_images)
        check_number("model.further_hidden", further_hidden, 0, 1)
        self.autoencoder, self.ema = autoencoder, averaged_copy(autoencoder)
        self.weights, self.rays, self.occluders = weights, rays, occluders
        self.further_hidden = further_hidden
        self.novel_views, self.novel_views_scale = novel_views, novel_views_scale
        self.optimizer, self.discriminator_optimizer = optimizer, discriminator_optimizer
        self.uses_patch = weights.ever_used("perceptual") or weights.ever_used("adversarial")
        compares = weights.ever_used("perceptual")
        self.perceptual = PerceptualLoss(perceptual_weights) if compares else None
        self.metrics = ReconstructionMetrics(autoencoder.codes)
        self.adversaries = Stage1Adversaries(autoencoder.resolution, rays, weights, discriminator)

    def setup(self, stage: str) -> None:
        """Refuse data that do not fit, before training begins."""
        data = self._datamodule()
        check_data(self.autoencoder, self.weights, self.further_hidden, data, stage)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One batch: encode, render, weigh, step; see the methods in the order they are called."""
        seed_dropout(self.seed, self.images_seen, self.global_rank)
        rng = self.step_rng(Purpose.VIEWS, self.global_rank)
        weights = self.weights.at(self.images_seen)
        if self.images_seen == 0:
            self._calibrate(batch)
        pixels, novel = self._draw_views(len(batch), weights, rng)
        hiding = self.step_rng(Purpose.HIDING, self.global_rank)
        seen = further_hidden(batch, self.further_hidden, hiding)
        made: Reconstruction = self.autoencoder(seen.float_image(), sight(seen))
        quantized, boxed = made.quantized, made.scenes.in_boxes(batch.size())
        views = render_views(self.autoencoder, boxed, pixels, novel, rng, batch.rays)
        grid, patch = self._beside_images(batch, pixels, views, boxed)
        compared = compared_images(patch, views, self.autoencoder)
        scored = self.adversaries.score(compared, self.images_seen, weights)
        terms = self._image_terms(grid, compared) | self._code_terms(quantized)
        terms |= self._geometry_terms(batch, pixels, views, grid) | self._box_terms(made, batch)
        terms |= self.adversaries.generator_terms(compared, scored, weights)
        logs = {f"loss/{name}": value for name, value in grid.l2_by_mask().items()}
        logs |= self._step_autoencoder(terms, weights)
        logs |= self._step_adversaries(compared, scored, len(batch))
        logs |= self._update_codebook(quantized)
        self.count_images(len(batch), self.autoencoder, self.ema)
        return logs

    @torch.no_grad()
    def _calibrate(self, batch: Batch) -> None:
        """Fit the untrained quantiser to the first batch; the average starts from the same."""
        rng = self.step_rng(Purpose.CODEBOOK, rank=0)
        self.autoencoder.calibrate(batch.float_image(), rng, sight(batch))
        self.ema.load_state_dict(self.autoencoder.state_dict())

    def _draw_views(
        self, batch: int, weights: dict[str, float], rng: torch.Generator
    ) -> tuple[Pixels, Camera | None]:
        """This step's pixels and, when anything looks at novel views, their cameras."""
        resolution, view = self.autoencoder.resolution, self.autoencoder.view
        pixels = draw_pixels(self.rays, batch, resolution, self.uses_patch, rng)
        if not self.adversaries.looks_at(NOVEL, self.images_seen, weights):
            return pixels, None
        scale = scheduled_value(self.novel_views_scale, self.images_seen)
        count = min(batch, self.rays.novel_images)
        return pixels, self.novel_views.draw(view, count, scale, rng)

    def _beside_images(
        self, batch: Batch, pixels: Pixels, views: Renderings, scenes: Scenes
    ) -> tuple[Shown, Shown | None]:
        """Rendered grid and patches beside what the images show there."""
        images, mask = batch.float_image(), batch.mask

        def beside(rendering: Rendering, at: Tensor) -> Shown:
            visible, count = None, len(at)
            if mask is not None:
                codes = gather_image(mask[:count, None], at)[..., 0]
                visible = visible_pixels(codes, self.occluders)
            image, behind = gather_image(images[:count], at), scenes.space.background
            return shown(rendering.rgb, rendering.opacity, image, visible, behind)

        grid = beside(views.grid, pixels.grid)
        if views.patch is None or pixels.patch is None:
            return grid, None
        return grid, beside(views.patch, pixels.patch)

    def _image_terms(self, grid: Shown, compared: Compared) -> dict[str, Tensor]:
        """Terms that compare renderings with the image."""
        terms = {"l2": grid.l2()}
        if self.weights.ever_used("logit_laplace"):
            terms["logit_laplace"] = logit_laplace_loss(grid.rgb, grid.image)
        if self.perceptual is not None and compared.patch is not None:
            terms["perceptual"] = self.perceptual(compared.patch.fake, compared.patch.real)
        return terms

    def _code_terms(self, quantized: Quantized) -> dict[str, Tensor]:
        """Terms of the quantiser."""
        terms = {"quantizer": quantized.loss}
        if self.weights.ever_used("code_entropy"):
            codes = self.autoencoder.quantizer.codebook
            terms["code_entropy"] = code_entropy_loss(quantized.latents, codes)
        return terms

    def _geometry_terms(
        self, batch: Batch, pixels: Pixels, views: Renderings, grid: Shown
    ) -> dict[str, Tensor]:
        """Terms of depth and opacity."""
        terms: dict[str, Tensor] = {}
        if self.weights.ever_used("depth"):
            terms["depth"] = depth_term(self.autoencoder, batch, pixels.grid, views, grid.visible)
        if self.weights.ever_used("alpha"):
            terms["alpha"] = alpha_loss(grid.opacity, require_masks(grid.visible))
        if self.weights.ever_used("opacity_entropy"):
            terms["opacity_entropy"] = opacity_entropy(grid.opacity, grid.visible)
        return terms

    def _box_terms(self, made: Reconstruction, batch: Batch) -> dict[str, Tensor]:
        """Terms of the boxes that a system finds."""
        size, space = batch.size(), made.scenes.space
        if size is None or not isinstance(space, SceneBoxes):
            return {}
        return {"size": box_size_loss(space.half_extents, size)}

    def _step_autoencoder(
        self, terms: dict[str, Tensor], weights: dict[str, float]
    ) -> dict[str, Tensor]:
        """Weigh, differentiate, clip and step; returns what to log."""
        total = weighted_sum(terms, weights)
        optimizer = self.optimizer_list()[0]
        norm = self.step_optimizer(optimizer, self.optimizer, total, "total", terms, weights)
        logs = {f"loss/{name}": term.detach() for name, term in terms.items()}
        return logs | {"loss/total": total.detach(), "train/grad_norm": norm}

    def _step_adversaries(
        self, compared: Compared, scored: dict[str, Scored], batch: int
    ) -> dict[str, Tensor]:
        """Train the discriminators on this step's renderings; returns what to log."""
        step = self.images_seen // self.global_batch(batch)
        loss, logs = self.adversaries.discriminator_loss(compared, scored, self.images_seen, step)
        if loss is not None:
            self.step_optimizer(self.optimizer_list()[1], self.discriminator_optimizer, loss)
        return logs

    @torch.no_grad()
    def _update_codebook(self, quantized: Quantized) -> dict[str, Tensor]:
        """Count the codes of this step and revive dead ones, the same way on every rank."""
        quantizer = self.autoencoder.quantizer
        quantizer.observe(quantized)
        revived = quantizer.revive(quantized.latents, self.step_rng(Purpose.CODEBOOK, rank=0))
        # A mean of a code's old and new place would be neither.
        mean = self.ema.quantizer.codebook
        mean.copy_(torch.where(revived[:, None], quantizer.codebook, mean))
        alive = (quantizer.usage >= quantizer.size.dead_share).float().mean()
        return {
            "codebook/perplexity": perplexity(quantizer.usage),
            "codebook/alive": alive,
            "codebook/revived": revived.sum().float(),
        }

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Render the averaged model's reconstruction of whole images and measure it."""
        made: Reconstruction = self.ema(batch.float_image(), sight(batch))
        scenes = made.scenes.in_boxes(batch.size())
        view = view_images(self.ema, scenes, batch)
        self.metrics.update(view, scenes.space.background, made.quantized.tokens, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, equal on all ranks."""
        values = self.metrics.compute()
        self.log_dict({f"val/{name}": value for name, value in values.items()}, logger=False)
        self.metrics.reset()

    def metric_names(self) -> tuple[str, ...]:
        """Names of the validation metrics."""
        return (
            "psnr",
            "codebook_usage",
            "codebook_perplexity",
            "disparity_correlation",
            "object_psnr",
            "silhouette_iou",
        )

    def trained(self) -> TokenAutoencoder:
        """The autoencoder."""
        return self.autoencoder

    def whole_average(self) -> TokenAutoencoder:
        """The averaged autoencoder."""
        return self.ema

    def pictures(self, average: nn.Module, probe: Batch | TokenBatch, count: int) -> list[Pictures]:
        """Reconstructions and their novel views."""
        assert isinstance(average, TokenAutoencoder)
        assert isinstance(probe, Batch)
        scenes = average.reconstruct(probe.float_image(), sight(probe)).in_boxes(probe.size())
        seen = view_images(average, scenes, probe)
        return reconstruction_pictures(scenes, seen, average.view, probe)

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimiser for the autoencoder and, if there are any, one for the discriminators."""
        optimizers = [self.optimizer.build(self.autoencoder)]
        if any(True for _ in self.adversaries.parameters()):
            optimizers.append(self.discriminator_optimizer.build(self.adversaries))
        return optimizers
