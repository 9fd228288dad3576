"""Checkpoints: `last` by wall time, at the end and on signals, `previous` the one before it, `best`
by a metric; all atomic.

Lightning's ModelCheckpoint counts optimiser steps, ignores its time interval under manual
optimisation, and writes through a temporary file that may lie on another disk; hence ours. Its
handler of SIGTERM calls a collective from wherever a process happens to be, and processes that
are at different ones wait for each other for ever; hence ours, which only takes a note.
"""

import math
import os
import time
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from datamodules.errors import DataError, check_number
from datamodules.files import remove_partials, replacing
from datamodules.lock import FolderLock
from lightning_modules.callbacks.divergence import (
    BEGINS_ANEW,
    check_weights,
    earlier_checkpoint,
    step_back,
)
from lightning_modules.callbacks.stopping import (
    Interrupted,
    StopRequest,
    any_rank,
    asked_of_any,
    end_others,
    stop,
)
from lightning_modules.inference.checkpoint_file import (
    BEST,
    LAST,
    PREVIOUS,
    check_training,
    read_checkpoint,
)
from lightning_modules.inference.checkpoint_file import (
    Checkpoint as CheckpointFile,
)
from lightning_modules.training.base import TrainingModule
from models.stored import as_type

BATCHES_BETWEEN_AGREEMENTS = 16


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames, so an interrupted save leaves the old file whole; reads
    what is whole.

    opened: a checkpoint that was read already.
    """

    def __init__(self, opened: CheckpointFile | None = None) -> None:
        self.opened = opened

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

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Content of a checkpoint of a training, on the CPU and without code, whatever is asked.

        Raises:
            FileNotFoundError, DataError: it is missing, damaged or of something else.
        """
        opened, self.opened = self.opened, None
        if opened is None or opened.path != Path(path):
            opened = read_checkpoint(path)
        check_training(opened)
        # Out of the file, which may be written over while the training goes on.
        return deepcopy(opened.content)


def checkpoint_folder(trainer: Trainer) -> Path:
    """Where this run keeps its checkpoints."""
    return Path(trainer.default_root_dir) / "checkpoints"


class LastCheckpoint(Checkpoint):
    """Keep `last.ckpt` at most `minutes` behind, and current at the end and on signals that end the
    training; `previous.ckpt` is the one before it. Keep other processes out of the run's folder
    meanwhile.

    minutes: 0 saves after every step.

    Raises DataError for a negative or infinite number of them.
    """

    def __init__(self, minutes: float = 10.0) -> None:
        check_number("last_checkpoint.minutes", minutes, 0, 1_000_000)
        self.minutes = minutes
        self.lock: FolderLock | None = None
        self.saved_at = 0.0
        self.asked = StopRequest()
        self.begun_at: int | None = None  # in images, as are the others
        self.last_at: int | None = None  # of a last checkpoint that is known to be whole
        self.saved_here = False

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
        """Leave the folder to others, and a state to continue from."""
        if isinstance(exception, Interrupted):
            end_others(trainer)
        if isinstance(exception, FloatingPointError) and trainer.is_global_zero:
            assert isinstance(pl_module, TrainingModule)
            exception.add_note(self._way_on(trainer, pl_module.images_seen))
        self._release()

    def _way_on(self, trainer: Trainer, images: int) -> str:
        """What the same command continues from after a step that failed after so many images."""
        folder = checkpoint_folder(trainer)
        if self.saved_here and self.last_at == images:
            return step_back(folder, images)
        if images and self.begun_at == images:
            earlier = earlier_checkpoint(folder, images)
            knob = f"`--ckpt_path {earlier[0]}`" if earlier else "another run (`--run`)"
            return f"It failed where it continued: if that does not help, go on with {knob}."
        if self.last_at is not None:
            return f"{folder / LAST} is from before, after {self.last_at:,} images."
        if self.begun_at:
            return f"The same command continues from {trainer.ckpt_path} again."
        if (earlier := earlier_checkpoint(folder, images)) is not None:
            return f"The same command continues from {earlier[0]}, after {earlier[1]:,} images."
        return f"There is no checkpoint yet, {BEGINS_ANEW}."

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and listen for signals (Lightning puts the old handlers back)."""
        assert isinstance(pl_module, TrainingModule)
        self.saved_at = time.monotonic()
        self.begun_at, self.saved_here = pl_module.images_seen, False
        own = (
            Path(trainer.ckpt_path or "").resolve() == (checkpoint_folder(trainer) / LAST).resolve()
        )
        self.last_at = self.begun_at if own else None
        self.asked.listen()

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
            SIGTERMException: a signal came; on all ranks after the same batch.
            FloatingPointError: the weights are not finite.
        """
        # The ranks must agree, and asking at every step would make them wait for each other.
        if trainer.world_size > 1 and batch_idx % BATCHES_BETWEEN_AGREEMENTS:
            return
        due = self.asked.number != 0 or time.monotonic() - self.saved_at >= 60 * self.minutes
        if any_rank(trainer, due):
            self._save_and_stop_if_asked(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        self._save_and_stop_if_asked(trainer, pl_module)

    def _save_and_stop_if_asked(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        module.check_finite()
        folder, images = checkpoint_folder(trainer), module.images_seen
        check_weights(trainer, module, images)
        if trainer.is_global_zero and self.last_at not in (None, images):
            keep_previous(folder)
        trainer.save_checkpoint(folder / LAST)
        self.saved_at, self.last_at, self.saved_here = time.monotonic(), images, True
        if number := asked_of_any(trainer, self.asked):
            stop(trainer, module, number)


def keep_previous(folder: Path) -> None:
    """Make the last checkpoint of a run the previous one too, before the next takes its place.

    At every moment one of the two is whole. Two names of one file take no space, so a save needs no
    more than without it.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not last.exists():
        return
    try:
        with replacing(previous) as partial:
            os.link(last, partial)
    except OSError:  # a disk without hard links: for a moment there is no last one
        os.replace(last, previous)


def is_validated(trainer: Trainer) -> bool:
    """Whether a training that starts has validation batches."""
    return trainer.enable_validation and sum(trainer.num_val_batches) > 0


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
        if trainer.is_global_zero and not is_validated(trainer):
            print(
                "This run is not validated, its val split is empty: there will be no figures, no "
                f"sheets and no {BEST}; use {checkpoint_folder(trainer) / LAST}."
            )
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
            assert isinstance(pl_module, TrainingModule)
            check_weights(trainer, pl_module, pl_module.images_seen)
            self.best = value
            trainer.save_checkpoint(checkpoint_folder(trainer) / BEST)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and of which metric."""
        return {"best": self.best, "figure": self.metric}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value of the run that is continued."""
        self.best = as_type(state_dict["best"], float | None, "BestCheckpoint.best")
        if self.best is not None and not math.isfinite(self.best):
            self.best = None  # nothing would ever beat it
        self.metric = state_dict.get("figure")
