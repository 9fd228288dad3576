"""Losses, codebook, throughput and skipped images in the loggers, over images seen."""

import resource
import sys
import time
from collections import Counter
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules.errors import check_number
from datamodules.stream_datamodule import StreamDataModule
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.schedules import MOST_IMAGES


class Throughput:
    """Images a second and the share of time spent waiting for data, since the last reading."""

    def __init__(self) -> None:
        self.restart(0)

    def restart(self, images_seen: int) -> None:
        """Begin a new interval."""
        self.begun = self.idle_since = time.monotonic()
        self.waited, self.images_before = 0.0, images_seen

    def batch_arrived(self) -> None:
        """The wait for data is over."""
        self.waited += time.monotonic() - self.idle_since

    def batch_done(self) -> None:
        """The next wait for data begins."""
        self.idle_since = time.monotonic()

    def read(self, images_seen: int) -> dict[str, float]:
        """Figures of the interval, which ends."""
        seconds = max(time.monotonic() - self.begun, 1e-9)
        metrics = {
            "throughput/images_per_second": (images_seen - self.images_before) / seconds,
            "throughput/data_wait_share": self.waited / seconds,
            "throughput/memory_gb": peak_memory_gb(),
        }
        self.restart(images_seen)
        return metrics


class ScalarLog(Callback):
    """Log the mean of every training metric and the throughput each `every_images` images.

    Raises DataError for a number outside its range.
    """

    def __init__(self, every_images: int = 10_000) -> None:
        check_number("scalars.every_images", every_images, 1, MOST_IMAGES)
        self.every_images = every_images
        self.throughput = Throughput()
        self.sums: dict[tuple[str, ...], Tensor] = {}
        self.counts = Counter[tuple[str, ...]]()
        self.logged_at = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; count from the last multiple of the interval, however often a run is
        interrupted."""
        self.logged_at = self._last_multiple(_images_seen(pl_module))
        self.throughput.restart(_images_seen(pl_module))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Data arrived."""
        self.throughput.batch_arrived()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add up this step's metrics; log when enough images have passed."""
        # Together, and on their device: steps that made the same metrics are one sum.
        names, values = tuple(outputs), torch.stack([v.detach().float() for v in outputs.values()])
        self.sums[names] = self.sums[names] + values if names in self.sums else values
        self.counts[names] += 1
        seen = _images_seen(pl_module)
        if seen - self.logged_at >= self.every_images:
            self._write(trainer, pl_module, seen)
        self.throughput.batch_done()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the validation metrics; its time does not count as waiting for data."""
        if trainer.sanity_checking or trainer.state.fn != "fit":  # `validate` may be of other data
            return
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        _log(trainer, metrics, _images_seen(pl_module))
        self.throughput.restart(_images_seen(pl_module))

    def _write(self, trainer: Trainer, module: LightningModule, images_seen: int) -> None:
        assert isinstance(module, TrainingModule)
        module.check_finite()
        metrics = self._means()
        metrics |= self.throughput.read(images_seen)
        datamodule = getattr(trainer, "datamodule", None)
        if isinstance(datamodule, StreamDataModule):
            metrics["data/skipped"] = float(datamodule.skipped)
        _log(trainer, metrics, images_seen)
        self.sums, self.logged_at = {}, self._last_multiple(images_seen)
        self.counts.clear()

    def _means(self) -> dict[str, float]:
        """The mean of every metric since the last time, in one read."""
        sums, counts = Counter[str](), Counter[str]()
        values = torch.cat(list(self.sums.values())).tolist()
        names = [(name, form) for form in self.sums for name in form]
        for (name, form), value in zip(names, values, strict=True):
            sums[name] += value
            counts[name] += self.counts[form]
        return {name: value / counts[name] for name, value in sums.items()}

    def _last_multiple(self, images_seen: int) -> int:
        return images_seen // self.every_images * self.every_images


def peak_memory_gb() -> float:
    """Peak memory of this process in GB: of the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _log(trainer: Trainer, metrics: dict[str, float], images_seen: int) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=images_seen)


def _images_seen(module: LightningModule) -> int:
    assert isinstance(module, TrainingModule)
    return module.images_seen
