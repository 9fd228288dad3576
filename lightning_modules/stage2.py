"""Stage 2 as a LightningModule: a prior over the tokens of a stage-1 model."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.optim import Optimizer

from datamodules.errors import DataError
from datamodules.schema import Batch, TokenBatch
from datamodules.shard_datamodule import ShardDataModule
from datamodules.stream_datamodule import StreamDataModule
from datamodules.token_datamodule import TokenDataModule
from lightning_modules.inference.loading import load_stage1, weights_hash
from lightning_modules.inference.stage1_link import Stage1Link
from lightning_modules.inference.tokenise import tokenise
from lightning_modules.metrics.prior import PriorMetrics
from lightning_modules.pictures.drawing import Pictures
from lightning_modules.pictures.stage2_pictures import sample_pictures
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.checks import check_images, check_labels, check_warmup
from lightning_modules.training.ema import averaged_copy
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose, seed_dropout, step_rng
from lightning_modules.training.sharding import (
    data_mesh,
    gathered,
    numbered_by_module,
    shard_blocks,
)
from lightning_modules.training.stage2_checks import (
    check_guidance,
    check_kinds,
    check_prior,
)
from models.autoencoder import TokenAutoencoder
from models.generator import TokenGenerator
from models.priors.conditions import ConditionDropout, ConditionKinds, Conditions
from models.priors.sampling import TokenSampling
from models.priors.token_prior import PriorLoss, TokenPrior
from models.recipe import build_model
from models.stored import as_type


class Stage2(TrainingModule):
    """Trains a prior; batches are tokens, or images that the stage-1 model turns into tokens.

    Args:
        prior: autoregressive or masked.
        stage1: checkpoint of the stage-1 model whose tokens these are.
        max_images: images to train on; the learning rate ends there and `StopAfterImages` stops.
        dropout: how often conditions are dropped.
        optimizer: of the prior.
        sampling: of the samples that are drawn while training.
        ema_half_life: of the averaged weights, in images; they validate, draw and are exported.
        seed: of left-out conditions, masks and dropout.
    """

    headline = ("val/bits_per_token", "val {:.3f} bits per token")
    protocol = (
        "whole validation split, averaged weights: bits_per_token is the mean negative "
        "log-likelihood given the conditions, of a masked prior its bound with every count of "
        "masked tokens equally likely; accuracy the share of these predictions whose most probable "
        "code is right; unigram_bits_per_token the entropy of the codes in the validation tokens"
    )
    prior: TokenPrior
    ema: TokenPrior

    def __init__(
        self,
        prior: TokenPrior,
        stage1: str,
        max_images: int = 100_000_000,
        dropout: ConditionDropout = ConditionDropout(),
        optimizer: OptimizerSettings = OptimizerSettings(),
        sampling: TokenSampling = TokenSampling(),
        ema_half_life: float = 10_000.0,
        seed: int = 0,
    ) -> None:
        super().__init__(max_images, ema_half_life, seed)
        check_warmup(optimizer, max_images)
        check_guidance(sampling, dropout)
        self.prior, self.ema = prior, averaged_copy(prior)
        self.stage1, self.dropout, self.sampling = stage1, dropout, sampling
        self.optimizer = optimizer
        self.metrics = PriorMetrics(prior.codes)
        self.has_encoded = False
        self._stage1: tuple[TokenAutoencoder, str] | None = (
            None  # in a tuple: no part of this module's state
        )

    @property
    def autoencoder(self) -> TokenAutoencoder:
        """The frozen stage-1 model; there is one after `setup`."""
        assert self._stage1 is not None
        return self._stage1[0].to(self.device)

    def setup(self, stage: str) -> None:
        """Load the stage-1 model and refuse tokens, or a prior, that are not made for it.

        Raises:
            FileNotFoundError, DataError: one sentence with what does not fit, and the knob.
        """
        autoencoder = load_stage1(self.stage1)
        self._stage1 = autoencoder, weights_hash(autoencoder)
        check_prior(self.prior, autoencoder, self.stage1)
        datamodule = getattr(self.trainer, "datamodule", None)
        if isinstance(datamodule, StreamDataModule):
            check_kinds(self.prior.kinds, datamodule)
        if isinstance(datamodule, ShardDataModule):
            check_images(autoencoder, datamodule)
        if isinstance(datamodule, TokenDataModule) and datamodule.stage1_hash != self._stage1[1]:
            raise DataError(
                f"The tokens were written with stage-1 weights {datamodule.stage1_hash[:12]}, "
                f"{self.stage1} holds {self._stage1[1][:12]}: write them again with `wild3d "
                "tokens`, or name the checkpoint they were written with in `model.stage1`."
            )

    def configure_model(self) -> None:
        """Compile blocks; divide prior and average among the processes where the strategy is
        FSDP2."""
        self.compile_trained()
        if self.device_mesh is None:
            return
        mesh, in_bf16 = data_mesh(self.device_mesh), "bf16" in str(self.trainer.precision)
        for model in (self.prior, self.ema):
            # Lightning calls this again for the validation that follows a fit.
            if not isinstance(model, FSDPModule):
                shard_blocks(model, model.transformer.blocks, mesh, in_bf16=in_bf16)

    def training_step(self, batch: Batch | TokenBatch, batch_idx: int) -> dict[str, Tensor]:
        """One batch: tokens, conditions, prediction, step."""
        rng = self.step_rng(Purpose.TOKENS, self.global_rank)
        seed_dropout(self.seed, self.images_seen, self.global_rank)
        tokens, conditions = self._tokens(batch), conditions_of(batch)
        result = self.prior.training_loss(tokens, self.dropout.apply(conditions, rng), rng)
        logs = self._step_prior(result)
        self.count_images(len(batch), self.prior, self.ema)
        return logs | known_shares(conditions, self.prior.kinds)

    def on_before_batch_transfer(
        self, batch: Batch | TokenBatch, dataloader_idx: int
    ) -> Batch | TokenBatch:
        """Refuse labels that the prior has no class for, while they are still on the CPU."""
        classes = self.prior.kinds.classes
        labels = range(-1, classes) if classes else range(0)
        check_labels(batch, labels, "the prior", "model.prior.kinds.classes")
        return batch

    def _tokens(self, batch: Batch | TokenBatch) -> Tensor:
        """Tokens (B, T) as they were stored, or encoded on the fly: the same ones."""
        if isinstance(batch, TokenBatch):
            return batch.tokens
        # One batch tells whether the frozen model has diverged.
        check, self.has_encoded = not self.has_encoded, True
        return tokenise(self.autoencoder, batch, check=check)

    def _step_prior(self, result: PriorLoss) -> dict[str, Tensor]:
        """Differentiate, clip and step; returns what to log."""
        norm = self.step_optimizer(self.optimizer_list()[0], self.optimizer, result.loss)
        return {
            "loss/total": result.loss.detach(),
            "train/bits_per_token": result.nll / math.log(2),
            "train/accuracy": result.accuracy,
            "train/grad_norm": norm,
        }

    def validation_step(self, batch: Batch | TokenBatch, batch_idx: int) -> None:
        """Score held-out tokens with the averaged weights, under the same masks every time."""
        rng = step_rng(
            self.seed, batch_idx, Purpose.VALIDATION, rank=self.global_rank, device=self.device
        )
        tokens = self._tokens(batch)
        self.metrics.update(self.ema.scores(tokens, conditions_of(batch), rng), tokens)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, equal on all ranks."""
        values = self.metrics.compute()
        self.log_dict({f"val/{name}": value for name, value in values.items()}, logger=False)
        self.metrics.reset()

    def metric_names(self) -> tuple[str, ...]:
        """Names of the validation metrics."""
        return ("bits_per_token", "accuracy", "unigram_bits_per_token")

    def trained(self) -> TokenPrior:
        """The prior."""
        return self.prior

    def whole_average(self) -> TokenPrior:
        """The averaged prior, gathered from all processes where it is divided among them."""
        return gathered(self.ema, self._build_prior)

    def pictures(self, average: nn.Module, probe: Batch | TokenBatch, count: int) -> list[Pictures]:
        """Samples, by class."""
        assert isinstance(average, TokenPrior)
        generator = TokenGenerator(average, self.autoencoder)
        return sample_pictures(generator, self.class_names(), self.sampling, count)

    def _build_prior(self) -> TokenPrior:
        prior = build_model(self.prior.recipe())
        assert isinstance(prior, TokenPrior)
        return prior.to(self.device)

    def configure_optimizers(self) -> list[Optimizer]:
        """The one optimiser."""
        return [self.optimizer.build(self.prior)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store progress, the prior's recipe, and which stage-1 model it belongs to."""
        super().on_save_checkpoint(checkpoint)
        assert self._stage1 is not None
        folder = Path(self.trainer.default_root_dir) / "checkpoints"
        checkpoint["stage1"] = asdict(Stage1Link.made(self.stage1, self._stage1[1], folder))
        checkpoint["classes"] = self.class_names()
        checkpoint["sampling"], checkpoint["dropout"] = asdict(self.sampling), asdict(self.dropout)
        states = checkpoint.get("optimizer_states", [])  # none where only weights are saved
        if self.device_mesh is None:  # else they already are
            checkpoint["optimizer_states"] = [
                numbered_by_module(state, optimizer, self)
                for state, optimizer in zip(states, self.trainer.optimizers, strict=True)
            ]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up progress; refuse to go on with another stage-1 model."""
        super().on_load_checkpoint(checkpoint)
        assert self._stage1 is not None
        try:
            saved = as_type(checkpoint.get("stage1"), Stage1Link, "stage1")
        except ValueError as error:
            raise DataError(
                f"The run's checkpoint does not say which stage-1 model it belongs to ({error}): "
                "start another run (`--run`)."
            ) from error
        if saved.hash != self._stage1[1]:
            raise DataError(
                f"The prior was trained on tokens of {saved.path} with weights "
                f"{saved.hash[:12]}, {self.stage1} holds {self._stage1[1][:12]}: name the "
                "former in `model.stage1`, or start another run (`--run`)."
            )


def conditions_of(batch: Batch | TokenBatch) -> Conditions:
    """All conditions that a batch has labels for."""
    known = batch.attributes
    if known is None:
        return Conditions.of(batch.label)
    return Conditions.of(batch.label, known.size, known.time_of_day, known.semantics)


def known_shares(conditions: Conditions, kinds: ConditionKinds) -> dict[str, Tensor]:
    """The share of samples for which each condition that a prior takes is known, as curves."""
    shares = conditions.known().float().mean(0)
    taken = (kinds.classes > 0, kinds.size, kinds.time_of_day, kinds.semantics > 0)
    names = ("class", "size", "time_of_day", "semantics")
    columns = zip(names, shares, taken, strict=True)
    return {f"known/{name}": share for name, share, is_taken in columns if is_taken}
