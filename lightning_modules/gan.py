"""The GAN as a LightningModule: one batch from photographs to logged losses."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules.schema import Batch, TokenBatch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.adversarial.adversary import Adversary, DiscriminatorSettings, Scored
from lightning_modules.adversarial.collapse import CollapseIndicator, CollapseWatch
from lightning_modules.adversarial.discriminator_input import DiscriminatorInput, InputSettings
from lightning_modules.adversarial.gan_checks import check_data, check_training
from lightning_modules.adversarial.gan_views import Judged, MultiView, photographs, render_judged
from lightning_modules.adversarial.gan_watch import diversities
from lightning_modules.evaluation.gan_score import GANScore, ScoreSettings
from lightning_modules.losses.density import DensitySmoothness, density_smoothness
from lightning_modules.losses.view_prior import ViewPriorWeights, view_advantages, view_prior_loss
from lightning_modules.pictures.drawing import Pictures
from lightning_modules.pictures.gan_pictures import gan_pictures
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.checks import check_labels, check_warmup
from lightning_modules.training.ema import averaged_copy
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose
from lightning_modules.training.schedules import Schedule, scheduled_value
from models.blocks.discriminators import group_size
from models.scenes import Scenes
from models.stored import as_type
from models.wildgan import WildGAN


@dataclass(frozen=True)
class GeneratorStep:
    """What a step made: B scenes of labels (B,), the scores of their N = B V views, and the cells
    (B, V) of the views' directions where a distribution of views is learned."""

    scenes: Scenes
    labels: Tensor
    scored: Scored
    cells: Tensor | None


class GAN(TrainingModule):
    """Trains a generator against a discriminator; progress is counted in photographs seen.

    Args:
        generator: latents and labels to scenes.
        max_images: images to train on; learning rates end there and `StopAfterImages` stops.
        discriminator: size and training of the discriminator.
        shown: what it is shown.
        raw_side: side of what is rendered, by images seen; null for `generator.raw_resolution`.
        multi_view: how many views of a scene are judged.
        collapse: when a generator is taken for collapsing.
        density: smoothness of the density.
        view_prior: how the distribution of views is learned, with `generator.view_cells`.
        optimizer, discriminator_optimizer: of the two networks.
        score: how it is scored.
        ema_half_life: of the averaged weights, in images; they validate, draw and are exported.
        seed: of latents, views, sample jitter and augmentation.
    """

    headline = ("val/kid", "val KID {:.4f}")
    protocol = (
        "averaged weights, views drawn as in training: kid compares the features of generated "
        "images with those of the training images, in the proportions of their classes; "
        "non_flatness is exp(entropy of the disparities of an image in 64 bins), from 1 to 64"
    )
    generator: WildGAN
    ema: WildGAN
    checkpoint_format = 2

    def __init__(
        self,
        generator: WildGAN,
        max_images: int = 25_000_000,
        discriminator: DiscriminatorSettings = DiscriminatorSettings(32768, 512, r1=1.0),
        shown: InputSettings = InputSettings(),
        raw_side: Schedule | None = None,
        multi_view: MultiView = MultiView(),
        collapse: CollapseWatch = CollapseWatch(),
        density: DensitySmoothness = DensitySmoothness(),
        view_prior: ViewPriorWeights = ViewPriorWeights(),
        optimizer: OptimizerSettings = OptimizerSettings(
            2.5e-3, (0.0, 0.99), 0.0, warmup=0, floor=1.0, grad_clip=0
        ),
        discriminator_optimizer: OptimizerSettings = OptimizerSettings(
            2e-3, (0.0, 0.99), 0.0, warmup=0, floor=1.0, grad_clip=0
        ),
        score: ScoreSettings = ScoreSettings(),
        ema_half_life: float = 10_000.0,
        seed: int = 0,
    ) -> None:
        super().__init__(max_images, ema_half_life, seed)
        check_training(generator, raw_side, collapse, max_images)
        check_warmup(optimizer, max_images)
        check_warmup(discriminator_optimizer, max_images, "discriminator_optimizer")
        self.generator, self.ema = generator, averaged_copy(generator)
        dual = generator.refiner is not None
        self.shown = DiscriminatorInput(generator.resolution, dual, shown)
        self.adversary = Adversary(
            self.shown.channels, generator.resolution, discriminator, generator.classes
        )
        self.raw_side = generator.raw_resolution if raw_side is None else raw_side
        self.multi_view, self.collapse, self.density = multi_view, collapse, density
        self.view_prior = view_prior
        self.optimizer, self.discriminator_optimizer = optimizer, discriminator_optimizer
        self.score = GANScore(score)
        self.indicator = CollapseIndicator()
        self.collapsed_at: int | None = None

    def prepare_data(self) -> None:
        """Measure the training images once, before other processes ask for it."""
        self._open_score()

    def setup(self, stage: str) -> None:
        """Open what the generator is scored with, and refuse data that do not fit."""
        check_data(self.generator, self.shown.settings, self._datamodule())
        self._open_score()

    def _open_score(self) -> None:
        device = self.trainer.strategy.root_device
        self.score.open(self._datamodule(), self.generator.resolution, device)

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Refuse labels that the generator has no class for, while they are still on the CPU."""
        labels = range(self.generator.classes)
        check_labels(batch, labels, "the generator", "model.generator.classes")
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One batch: scenes, views of them, the generator's step, the discriminator's step."""
        rng = self.step_rng(Purpose.VIEWS, self.global_rank)
        step = self.images_seen // self.global_batch(len(batch))
        scenes = self.generator(self._latents(len(batch), rng), batch.label)
        directions, cells = self._look(batch.label, rng)
        fake = self._views(scenes, directions, rng)
        scored = self.score_views(fake, batch.label, rng)
        made = GeneratorStep(scenes, batch.label, scored, cells)
        logs = self._step_generator(made, step, rng)
        logs |= self._step_discriminator(batch, scored, step, rng)
        logs |= self._watch() | self._counts(directions.shape[1])
        self.count_images(len(batch), self.generator, self.ema)
        return logs

    def _latents(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.randn(count, self.generator.backbone.latent, generator=rng, device=rng.device)

    @property
    def _side(self) -> int:
        """Side of what is rendered now."""
        return round(scheduled_value(self.raw_side, self.images_seen))

    def _look(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Directions (B, V, 3) of this step's views, and the cells (B, V) of a learned prior."""
        views = self.multi_view.views_at(self.images_seen, self.collapsed_at)
        if self.generator.view_prior is None:
            return self.generator.views.directions(len(labels), views, rng), None
        cells, directions = self.generator.view_prior.draw(labels, views, rng)
        return directions, cells

    def _views(self, scenes: Scenes, directions: Tensor, rng: torch.Generator) -> Judged:
        """This step's views of all scenes."""
        cameras = self.generator.views.cameras(directions)
        disparity = self.shown.settings.disparity
        side, resolution = self._side, self.generator.resolution
        return render_judged(scenes, cameras, resolution, side, rng, with_disparity=disparity)

    def score_views(self, fake: Judged, labels: Tensor, rng: torch.Generator) -> Scored:
        """Score V views each of scenes of labels (B,), compared in groups as large as those of B
        photographs, so that their size does not tell which are which."""
        images = self.shown(fake, self.images_seen, rng)
        classes = labels.repeat_interleave(len(images) // len(labels))
        return self.adversary.score(images, classes, group_size(len(labels)))

    def _step_generator(
        self, made: GeneratorStep, step: int, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """Regularise, differentiate and step; returns what to log."""
        loss = self.adversary.generator_loss(made.scored)
        logs = {"generator/loss": loss.detach()}
        if self.density.due(step):
            rough = density_smoothness(made.scenes.planes, self.generator.field, self.density, rng)
            loss = loss + self.density.weight * self.density.interval * rough
            logs["generator/density_difference"] = rough.detach()
        if self.generator.view_prior is not None and made.cells is not None:
            logits = made.scored.logits
            view_loss, logs["generator/view_entropy"] = view_prior_loss(
                log_probs=self.generator.view_prior.log_probabilities(made.labels),
                cells=made.cells,
                advantages=view_advantages(logits, self._everyone(logits)),
                weights=self.view_prior,
            )
            loss = loss + view_loss
        norm = self.step_optimizer(self.optimizer_list()[0], self.optimizer, loss, "generator")
        return logs | {"generator/grad_norm": norm}

    def _step_discriminator(
        self, batch: Batch, scored: Scored, step: int, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """Train the discriminator on photographs and this step's views; returns what to log."""
        real = photographs(
            batch,
            self._side,
            with_raw=self.generator.refiner is not None,
            with_disparity=self.shown.settings.disparity,
        )
        images = self.shown(real, self.images_seen, rng)
        loss, logs = self.adversary.discriminator_loss(images, scored, step, batch.label)
        norm = self.step_optimizer(
            self.optimizer_list()[1], self.discriminator_optimizer, loss, "discriminator"
        )
        logs["grad_norm"] = norm
        if (changed := self.shown.changed).regulated:
            changed.update(self._mean(logs["real_sign"][None]), self.global_batch(len(batch)))
            logs["augment_probability"] = changed.value.clone()
        return {f"discriminator/{name}": value for name, value in logs.items()}

    def _counts(self, views: int) -> dict[str, Tensor]:
        """What the schedules say, as curves."""
        return self._curves({"train/views": views, "train/raw_side": self._side})

    def _curves(self, values: Mapping[str, float]) -> dict[str, Tensor]:
        """Numbers () on the device, filled there: a copy to it makes the host wait."""
        return {
            name: torch.full((), value, dtype=torch.float32, device=self.device)
            for name, value in values.items()
        }

    def _watch(self) -> dict[str, Tensor]:
        """Look at the diversity of fixed latents when it is time; returns what to log."""
        if not self.indicator.due(self.images_seen, self.collapse):
            return {}
        rng = self.step_rng(Purpose.VIEWS, rank=0)
        values = diversities(self.generator, self.adversary, self.shown, self.collapse.scenes, rng)
        values = self.trainer.strategy.broadcast(values)  # so that all processes decide alike
        shares = self.indicator.update(values, self.images_seen, self.collapse)
        if self.collapsed_at is None and self.indicator.collapsing(self.collapse):
            self.collapsed_at = self.images_seen
        found = {f"diversity/{name}": value for name, value in values.items()}
        found |= {f"collapse/{name}": share for name, share in shares.items()}
        return self._curves(found)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Nothing: a generator is not compared with single photographs."""

    def on_validation_epoch_end(self) -> None:
        """Draw with the averaged weights, measure, and log the metrics, equal on all ranks."""
        values = {"non_flatness": self._mean(self.score.draw(self.ema, self.trainer))}
        if (kid := self.score.distance()) is not None:
            values["kid"] = kid
        self.log_dict({f"val/{name}": value for name, value in values.items()}, logger=False)

    def _everyone(self, values: Tensor) -> Tensor:
        """Values (N,) of all processes (M,), without their graphs."""
        gathered = self.all_gather(values.detach())
        assert isinstance(gathered, Tensor)
        return gathered.flatten()

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over all processes of values (N,), N differing between them, that are numbers."""
        known = values.isfinite()
        sums = self.all_gather(torch.stack([torch.where(known, values, 0).sum(), known.sum()]))
        assert isinstance(sums, Tensor)
        total, count = sums.view(-1, 2).sum(0)
        return total / count

    def metric_names(self) -> tuple[str, ...]:
        """Names of the validation metrics."""
        return (
            ("non_flatness",) if self.score.settings.features is None else ("non_flatness", "kid")
        )

    def facts(self) -> dict[str, str]:
        """The network whose features `kid` compares."""
        return self.score.facts()

    def trained(self) -> WildGAN:
        """The generator."""
        return self.generator

    def whole_average(self) -> WildGAN:
        """The averaged generator."""
        return self.ema

    def pictures(self, average: nn.Module, probe: Batch | TokenBatch, count: int) -> list[Pictures]:
        """A sheet of classes and views, and the camera moving around them."""
        assert isinstance(average, WildGAN)
        return gan_pictures(average, self.class_names(), count)

    def configure_optimizers(self) -> list[Optimizer]:
        """The generator's and the discriminator's."""
        return [
            self.optimizer.build(self.generator),
            self.discriminator_optimizer.build(self.adversary),
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store progress, recipe, what the photographs are, and what is known of collapse."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["classes"] = self.class_names()
        datamodule = self._datamodule()
        if isinstance(datamodule, ShardDataModule):
            checkpoint["framing"] = datamodule.framing._asdict()
        checkpoint["collapse"] = asdict(self.indicator) | {"collapsed_at": self.collapsed_at}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up progress, and multi-view discrimination where it was on."""
        super().on_load_checkpoint(checkpoint)
        state = checkpoint["collapse"]
        self.collapsed_at = as_type(state["collapsed_at"], int | None, "collapsed_at")
        self.indicator = CollapseIndicator.restored(state)

    def check_states(self, checkpoint: dict[str, Any]) -> None:
        """Refuse what is malformed, in what is known of collapse too."""
        super().check_states(checkpoint)
        CollapseIndicator.restored(checkpoint["collapse"])
