"""Checkpoints: `last` by wall time and at the end, `best` by a validation figure, both atomic.

Lightning's ModelCheckpoint counts optimiser steps, ignores its time interval under manual
optimisation, and writes through a temporary file that may lie on another disk; hence ours.
"""

import math
import os
import time
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from datamodules.errors import DataError
from lightning_modules.counted import CountedModule

LAST, BEST = "last.ckpt", "best.ckpt"
BATCHES_BETWEEN_AGREEMENTS = 16


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames, so an interrupted save leaves the old file whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save to `path`, replacing what is there in one step."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        with partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)


def checkpoint_folder(trainer: Trainer) -> Path:
    """Where this run keeps its checkpoints."""
    return Path(trainer.default_root_dir) / "checkpoints"


class LastCheckpoint(Checkpoint):
    """Keep `last.ckpt` at most `minutes` behind the training, and current at its end."""

    def __init__(self, minutes: float = 10.0) -> None:
        self.minutes = minutes
        self.saved_at = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.saved_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when the interval has passed; rank 0's clock decides for all."""
        due = time.monotonic() - self.saved_at >= 60 * self.minutes
        if trainer.world_size > 1:
            # The ranks must agree, and asking at every step would make them wait for each other.
            if batch_idx % BATCHES_BETWEEN_AGREEMENTS:
                return
            due = trainer.strategy.broadcast(due)
        if due:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(checkpoint_folder(trainer) / LAST)
        self.saved_at = time.monotonic()


class BestCheckpoint(Checkpoint):
    """Keep `best.ckpt`, the state at the best value of a validation figure."""

    def __init__(self, monitor: str = "val/psnr", mode: Literal["max", "min"] = "max") -> None:
        self.monitor, self.mode = monitor, mode
        self.best: float | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a figure that the module does not have, before it is trained.

        Raises:
            DataError: names those that it has.
        """
        assert isinstance(pl_module, CountedModule)
        names = [f"val/{name}" for name in pl_module.figures()]
        if self.monitor not in names:
            raise DataError(
                f"best_checkpoint.monitor is {self.monitor!r}, the figures are {', '.join(names)}."
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if this validation beat all earlier ones.

        Raises:
            ValueError: the figure was not computed; names those that were.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        figures = trainer.callback_metrics
        if self.monitor not in figures:
            raise ValueError(
                f"BestCheckpoint.monitor {self.monitor!r} is none of {sorted(figures)}."
            )
        value = float(figures[self.monitor])
        sign = 1 if self.mode == "max" else -1
        better = self.best is None or sign * value > sign * self.best
        if better and math.isfinite(value):
            self.best = value
            trainer.save_checkpoint(checkpoint_folder(trainer) / BEST)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value of the run that is continued."""
        self.best = state_dict["best"]
