"""A progress bar in images: rate, time left, and the metrics one watches."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from datamodules.errors import check_number
from lightning_modules.training.base import TrainingModule

REFRESH_SECONDS = 1.0
"""Between two looks of a bar at the metrics."""


class ImagesProgressBar(ProgressBar):
    """Images seen of `max_images`, images/s, time left; in a log file, a line now and then.

    log_seconds: between two such lines, 0 for one after every step.

    Raises DataError for a negative or infinite number of them.
    """

    def __init__(self, log_seconds: float = 30.0) -> None:
        check_number("progress.log_seconds", log_seconds, 0, 1_000_000)
        super().__init__()
        self.log_seconds = log_seconds
        self.console = Console()
        self.enabled = True
        self.progress: Progress | None = None
        self.task = TaskID(0)
        self.begun = self.printed = 0.0
        self.metrics = ""
        self.images_before = 0

    def disable(self) -> None:
        """Say nothing; Lightning calls this on all ranks but the first."""
        self.enabled = False

    def enable(self) -> None:
        """Speak again."""
        self.enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar where there is a terminal."""
        assert isinstance(pl_module, TrainingModule)
        self.begun = self.printed = time.monotonic()
        self.images_before = pl_module.images_seen
        if not self.enabled or not self.console.is_terminal:
            return
        self.progress = Progress(
            TextColumn("train"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} images"),
            TextColumn("{task.fields[rate]:.0f} images/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self.console,
        )
        self.task = self.progress.add_task(
            "train",
            total=pl_module.max_images,
            completed=pl_module.images_seen,
            rate=0.0,
            metrics="",
        )
        self.progress.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Advance the bar, or print a line now and then."""
        assert isinstance(pl_module, TrainingModule)
        now, seen = time.monotonic(), pl_module.images_seen
        rate = (seen - self.images_before) / max(now - self.begun, 1e-9)
        if self.progress is not None:
            if now - self.printed >= REFRESH_SECONDS:  # to read them, the host waits
                self.printed, self.metrics = now, _metrics(trainer, pl_module, outputs)
            self.progress.update(self.task, completed=seen, rate=rate, metrics=self.metrics)
        elif self.enabled and now - self.printed >= self.log_seconds:
            self.printed = now
            left = (pl_module.max_images - seen) / max(rate, 1e-9)
            self.console.print(
                f"{seen:,}/{pl_module.max_images:,} images, {rate:.0f} images/s, "
                f"{left / 60:.1f} min left, {_metrics(trainer, pl_module, outputs)}",
                highlight=False,
                soft_wrap=True,
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the terminal in order."""
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal in order."""
        self._close()

    def _close(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def _metrics(trainer: Trainer, module: TrainingModule, outputs: Any) -> str:
    shown = {"loss/total": "loss", "generator/loss": "G", "discriminator/loss": "D"}
    parts = [f"{name} {float(outputs[key]):.4f}" for key, name in shown.items() if key in outputs]
    name, form = module.headline
    if name in trainer.callback_metrics:
        parts.append(form.format(float(trainer.callback_metrics[name])))
    return ", ".join(parts)
