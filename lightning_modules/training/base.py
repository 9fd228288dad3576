"""Base of every training: progress in images, optimiser steps, averaged weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, cast

import torch
import torch.distributed as dist
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from datamodules.errors import DataError, check_number
from datamodules.schema import Batch, TokenBatch
from datamodules.stream_datamodule import StreamDataModule
from lightning_modules.pictures.drawing import Pictures
from lightning_modules.training.checks import (
    changed_settings,
    check_format,
    check_same_class,
    check_same_shapes,
)
from lightning_modules.training.compilation import compile_blocks
from lightning_modules.training.ema import ema_decay, update_average
from lightning_modules.training.finite import MOST_NOTES, FiniteGuard, finite_only
from lightning_modules.training.optimization import (
    OptimizerSettings,
    average_gradients,
    check_optimizer_states,
    clip_gradients,
)
from lightning_modules.training.rng import Purpose, step_rng
from lightning_modules.training.schedules import MOST_IMAGES
from lightning_modules.training.sharding import whole
from models.recipe import Recipe
from models.stored import told

EMA_RAMP_UP = 0.05
"""Share of the images seen to which the half-life of the average is held early on."""


class RecipeModel(Protocol):
    """A model that tells how to build it again."""

    def recipe(self) -> Recipe:
        """See `models.recipe`."""


class TrainingModule(LightningModule, ABC):
    """A LightningModule under manual optimisation whose one measure of progress is images seen.

    Args:
        max_images: images to train on; learning rates end there and `StopAfterImages` stops.
        ema_half_life: of the averaged weights, in images.
        seed: of everything random in a step.

    Raises DataError for a number outside its range.

    headline: the validation metric to show while training, and how to print it.
    protocol: what the metrics of `result.json` mean.
    checkpoint_format: raised when a module stores its state in another form.
    compiles: whether blocks are compiled before a fit, see `compile_blocks`.
    """

    headline: ClassVar[tuple[str, str]]
    protocol: ClassVar[str]
    checkpoint_format: ClassVar[int] = 1

    def __init__(self, max_images: int, ema_half_life: float, seed: int) -> None:
        super().__init__()
        check_number("model.max_images", max_images, 1, MOST_IMAGES)
        check_number("model.ema_half_life", ema_half_life, 0.001, MOST_IMAGES)
        check_number("model.seed", seed, 0, 2**32 - 1)
        self.automatic_optimization, self.compiles = False, False
        self.max_images, self.images_seen = max_images, 0
        self.ema_half_life, self.seed = ema_half_life, seed
        self.guard = FiniteGuard()

    @abstractmethod
    def whole_average(self) -> nn.Module:
        """The averaged model with all its weights; every process must call."""

    @abstractmethod
    def pictures(self, average: nn.Module, probe: Batch | TokenBatch, count: int) -> list[Pictures]:
        """What to draw of `whole_average`: the first validation samples, or `count` rows of
        generated ones."""

    @abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """Names of the validation metrics that it may have."""

    def facts(self) -> dict[str, str]:
        """What `result.json` is to say beside the metrics, by name."""
        return {}

    @abstractmethod
    def trained(self) -> RecipeModel:
        """The model that is trained."""

    def configure_model(self) -> None:
        """Compile blocks, and refuse FSDP2 where a system does not say how it is divided.

        Raises:
            DataError: one sentence with the knob.
        """
        self.compile_trained()
        if self.device_mesh is not None:
            raise DataError(
                f"{type(self).__name__} is whole in every process: leave `trainer.strategy` to "
                "auto."
            )

    def compile_trained(self) -> None:
        """Compile the blocks of all that is trained, if `compiles`; the average's stay as they
        are."""
        for name, child in self.named_children():
            if self.compiles and name != "ema":
                compile_blocks(child)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store progress, the place in the data, and the model's recipe for loading without this
        module."""
        checkpoint["format"] = self.checkpoint_format
        checkpoint["images_seen"] = self.images_seen
        checkpoint["model"] = self.trained().recipe()
        if (datamodule := self._datamodule()) is not None:
            checkpoint["data"] = datamodule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up progress where the checkpoint left it.

        Raises:
            DataError: it is of another format, holds another model, or was trained on other data.
        """
        self.check_same_training(checkpoint)
        recipe = self.trained().recipe()
        if self.global_rank == 0 and self.trainer.training:
            for change in changed_settings(checkpoint["model"]["init_args"], recipe["init_args"]):
                print(f"From now on the model has {change}")
        self.images_seen = int(checkpoint["images_seen"])
        datamodule = self._datamodule()
        if datamodule is not None and "data" in checkpoint:
            # Lightning hands it over to a datamodule of the same class only.
            datamodule.load_state_dict(checkpoint["data"])

    def check_same_training(self, checkpoint: dict[str, Any]) -> None:
        """DataError for a checkpoint of another format or model."""
        recipe = self.trained().recipe()
        check_same_class(checkpoint, recipe)
        check_format(checkpoint, self.checkpoint_format)
        check_same_shapes(checkpoint, self.state_dict())

    def check_states(self, checkpoint: dict[str, Any]) -> None:
        """Refuse what is malformed in a checkpoint of this model, before weights are divided.

        Raises:
            ValueError: the states of its optimisers do not fit, or that of its data is none.
        """
        if not isinstance(position := checkpoint.get("data", {}), dict):
            raise ValueError(f"its data are {told(position)}")
        own = cast(list[Optimizer], self.configure_optimizers())
        check_optimizer_states(checkpoint["optimizer_states"], own)

    def class_names(self) -> list[str]:
        """Names of the data's classes, in the order of their labels."""
        datamodule = self._datamodule()
        return [] if datamodule is None else list(datamodule.manifest.classes)

    def _datamodule(self) -> StreamDataModule[Any] | None:
        datamodule = getattr(self.trainer, "datamodule", None)
        return datamodule if isinstance(datamodule, StreamDataModule) else None

    def step_optimizer(
        self,
        optimizer: LightningOptimizer,
        settings: OptimizerSettings,
        loss: Tensor,
        name: str = "total",
        terms: Mapping[str, Tensor] = MappingProxyType({}),
        weights: Mapping[str, float] = MappingProxyType({}),
    ) -> Tensor:
        """Differentiate `loss` and step at the scheduled rate; returns the gradient norm.

        Where the norm is not finite, the weights stay as they are from then on; `check_finite` says
        so. Optimisers must be fused ones: others do not heed `found_inf`.

        Args:
            name: of the loss, for the error.
            terms, weights: what it is the sum of, for the error.
        """
        settings.apply(optimizer, settings.lr_at(self.images_seen, self.max_images))
        optimizer.zero_grad(set_to_none=True)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._differentiate(loss, parameters)
        norm = whole(clip_gradients(parameters, settings.grad_clip))
        found = self.guard.note(self.images_seen, name, norm, loss, terms, weights)
        optimizer.optimizer.found_inf = found  # type: ignore[attr-defined]
        optimizer.step()
        return norm

    def _differentiate(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        """Give parameters the gradients of a loss (), averaged over all processes."""
        wrapped, start = self.trainer.strategy.model, finite_only(loss)
        if not isinstance(wrapped, DistributedDataParallel) or len(self.optimizer_list()) == 1:
            self.manual_backward(loss, gradient=start)
            return
        # DDP would average the gradients of all networks after the backward pass of each.
        with wrapped.no_sync():
            self.manual_backward(loss, gradient=start)
        average_gradients(parameters)

    def check_finite(self) -> None:
        """Ask the device whether all steps so far were finite; every process must call.

        Raises:
            FloatingPointError: one was not; the weights are as they were before it, and so is
                `images_seen` now.
        """
        if (broken := self.guard.first_broken()) is not None:
            self.images_seen = broken.images
            raise FloatingPointError(broken.said())

    def on_validation_start(self) -> None:
        """See `check_finite`."""
        self.check_finite()

    def on_train_end(self) -> None:
        """See `check_finite`."""
        self.check_finite()

    def count_images(self, batch: int, model: nn.Module, average: nn.Module) -> None:
        """Move progress on by a batch of this process, and `average` towards `model`."""
        self.images_seen += self.global_batch(batch)
        decay = ema_decay(
            self.global_batch(batch), self.images_seen, self.ema_half_life, EMA_RAMP_UP
        )
        update_average(average, model, decay)
        if (datamodule := self._datamodule()) is not None:
            datamodule.images_seen = self.images_seen
        if len(self.guard.notes) >= MOST_NOTES:
            self.check_finite()

    def optimizer_list(self) -> list[LightningOptimizer]:
        """The optimisers as a list, however many there are."""
        optimizers = self.optimizers()
        return cast(
            list[LightningOptimizer], optimizers if isinstance(optimizers, list) else [optimizers]
        )

    def step_rng(self, purpose: Purpose, rank: int) -> torch.Generator:
        """Random numbers of this step, the same ones in a resumed run."""
        return step_rng(self.seed, self.images_seen, purpose, rank=rank, device=self.device)

    def global_batch(self, batch: int) -> int:
        """Images of a step over all processes."""
        return batch * (dist.get_world_size() if dist.is_initialized() else 1)
