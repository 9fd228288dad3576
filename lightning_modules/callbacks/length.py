"""Length of a run: its end, counted in images, and its time over all launches."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer

from datamodules.errors import check_number
from lightning_modules.training.base import TrainingModule
from models.stored import as_type


class StopAfterImages(Callback):
    """Stop once the module has seen its `max_images`; optimiser steps count double with two."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that is already complete has nothing to do."""
        _stop_if_done(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Check after every batch."""
        _stop_if_done(trainer, pl_module)


def _stop_if_done(trainer: Trainer, module: LightningModule) -> None:
    assert isinstance(module, TrainingModule)
    if module.images_seen >= module.max_images:
        trainer.should_stop = True


class RunClock(Callback):
    """Seconds from the start to the end of training; what a killed launch did not save is lost."""

    def __init__(self) -> None:
        self.before = 0.0
        self.begun: float | None = None

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self.before + (time.monotonic() - self.begun if self.begun is not None else 0.0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start."""
        self.begun = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop."""
        self.before, self.begun = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """The time so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from an earlier launch."""
        seconds = as_type(state_dict["seconds"], float, "RunClock.seconds")
        check_number("RunClock.seconds", seconds, 0, 1e12)
        self.before = seconds
