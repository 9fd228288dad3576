"""Checkpoints: `last` by wall time, at the end and on SIGTERM, `best` by a metric; all atomic.

Lightning's ModelCheckpoint counts optimiser steps, ignores its time interval under manual
optimisation, and writes through a temporary file that may lie on another disk; hence ours. Its
handler of SIGTERM calls a collective from wherever a process happens to be, and processes that
are at different ones wait for each other for ever; hence ours, which only takes a note.
"""

import math
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from datamodules.errors import DataError, check_number
from datamodules.files import remove_partials, replacing
from datamodules.lock import FolderLock
from lightning_modules.training.base import TrainingModule

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
        with replacing(target) as partial, partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())


def checkpoint_folder(trainer: Trainer) -> Path:
    """Where this run keeps its checkpoints."""
    return Path(trainer.default_root_dir) / "checkpoints"


class LastCheckpoint(Checkpoint):
    """Keep `last.ckpt` at most `minutes` behind, and current at the end and on SIGTERM; and keep
    other processes out of the run's folder meanwhile.

    minutes: 0 saves after every step.

    Raises DataError for a negative or infinite number of them.
    """

    def __init__(self, minutes: float = 10.0) -> None:
        check_number("last_checkpoint.minutes", minutes, 0, 1_000_000)
        self.minutes = minutes
        self.lock: FolderLock | None = None
        self.saved_at = 0.0
        self.asked_to_stop = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Have the run's folder for this training alone.

        Raises:
            DataError: another one has it.
        """
        if stage != "fit":
            return
        alone = not trainer.is_global_zero or self._take(Path(trainer.default_root_dir))
        if not trainer.strategy.broadcast(alone):
            raise DataError(
                f"Another process is training in {trainer.default_root_dir}: wait for it, or "
                "choose another folder (`--run`)."
            )
        if trainer.is_global_zero:
            remove_partials(checkpoint_folder(trainer))

    def _take(self, folder: Path) -> bool:
        """Lock a run's folder; False if another process trains in it. Disks without file locks
        give it to everyone."""
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = FolderLock(folder)
        try:
            return self.lock.take()
        except DataError:
            return True

    def _release(self) -> None:
        if self.lock is not None:
            self.lock.release()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the folder to others."""
        self._release()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the folder to others."""
        self._release()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and listen for SIGTERM (Lightning puts the old handler back)."""
        self.saved_at = time.monotonic()
        self.asked_to_stop = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note_request)

    def _note_request(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when the interval has passed, on any rank, or any was asked to stop.

        Raises:
            SIGTERMException: SIGTERM came; on all ranks after the same batch.
        """
        # The ranks must agree, and asking at every step would make them wait for each other.
        if trainer.world_size > 1 and batch_idx % BATCHES_BETWEEN_AGREEMENTS:
            return
        due = self.asked_to_stop or time.monotonic() - self.saved_at >= 60 * self.minutes
        if not _any_rank(trainer, due):
            return
        self._save(trainer)
        if _any_rank(trainer, self.asked_to_stop):
            _stop(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(checkpoint_folder(trainer) / LAST)
        self.saved_at = time.monotonic()


def _any_rank(trainer: Trainer, decision: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def _stop(trainer: Trainer, module: LightningModule) -> None:
    if not trainer.is_global_zero:
        # A launcher kills rank 0, perhaps before it has closed its logs, when others end in error.
        raise SIGTERMException(0)
    assert isinstance(module, TrainingModule)
    print(f"Stopped by SIGTERM after {module.images_seen:,} images; the same command continues.")
    raise SIGTERMException(128 + signal.SIGTERM)


class BestCheckpoint(Checkpoint):
    """Keep `best.ckpt`, the state at the best value of a validation metric."""

    def __init__(self, monitor: str = "val/psnr", mode: Literal["max", "min"] = "max") -> None:
        self.monitor, self.mode = monitor, mode
        self.best: float | None = None
        self.metric: dict[str, str] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a metric that the module does not have, before it is trained.

        Raises:
            DataError: names those that it has.
        """
        assert isinstance(pl_module, TrainingModule)
        names = [f"val/{name}" for name in pl_module.metric_names()]
        if self.monitor not in names:
            raise DataError(
                f"best_checkpoint.monitor is {self.monitor!r}, the figures are {', '.join(names)}."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget a best value of another run or of another metric: nothing might ever beat it."""
        assert isinstance(pl_module, TrainingModule)
        metric = pl_module.facts() | {"monitor": self.monitor, "mode": self.mode}
        continued = Path(trainer.ckpt_path or "").resolve().parent
        if self.metric not in (None, metric) or continued != checkpoint_folder(trainer).resolve():
            self.best = None
        self.metric = metric

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if this validation beat all earlier ones.

        Raises:
            DataError: the metric was not computed; names those that were.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            raise DataError(
                f"best_checkpoint.monitor is {self.monitor!r}, the figures of this validation are "
                f"{', '.join(sorted(metrics)) or 'none'}."
            )
        value = float(metrics[self.monitor])
        sign = 1 if self.mode == "max" else -1
        better = self.best is None or sign * value > sign * self.best
        if better and math.isfinite(value):
            self.best = value
            trainer.save_checkpoint(checkpoint_folder(trainer) / BEST)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and of which metric."""
        return {"best": self.best, "figure": self.metric}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value of the run that is continued."""
        self.best, self.metric = state_dict["best"], state_dict.get("figure")
