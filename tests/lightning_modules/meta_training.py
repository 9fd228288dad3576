"""Training on the meta device: a GPU that holds nothing, so that whatever reads a value fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from host_reads import Reads, StepReads
from lightning import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.utils.data import DataLoader

from lightning_modules.callbacks.length import StopAfterImages
from lightning_modules.callbacks.scalars import ScalarLog
from lightning_modules.training.base import TrainingModule

META = torch.device("meta")
AUTOCAST_ENABLED = torch.is_autocast_enabled


class MetaStrategy(SingleDeviceStrategy):
    """Module and batches on the meta device; Lightning's own numbers stay on the CPU."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"), accelerator=CPUAccelerator())

    def model_to_device(self) -> None:
        self.model.to(META)

    def batch_to_device(self, batch: Any, device: Any = None, dataloader_idx: int = 0) -> Any:
        return batch.to(META)

    def teardown(self) -> None:
        """Leave the module where it is: nothing can be copied back."""


class MetaGenerator(torch.Generator):
    """A generator that says it is on the meta device, which has none."""

    device = META


class MetaAutocast(torch.autocast):
    """Autocast, which knows no meta device, of the CPU in its place."""

    def __init__(self, device_type: str, *given: Any, **settings: Any) -> None:
        super().__init__("cpu" if device_type == "meta" else device_type, *given, **settings)


@contextmanager
def meta_device() -> Iterator[None]:
    """What PyTorch has for GPUs and not for the meta device."""
    with (
        mock.patch("lightning_modules.training.base.step_rng", return_value=MetaGenerator()),
        mock.patch("torch.autocast", MetaAutocast),
        mock.patch(
            "torch.is_autocast_enabled", lambda kind: kind != "meta" and AUTOCAST_ENABLED(kind)
        ),
        mock.patch("torch.Tensor.exponential_", lambda numbers, generator: numbers),
        mock.patch("torch.optim.adam._device_dtype_check_for_fused"),
    ):
        yield


def train_on_meta(module: TrainingModule, batch: Any, steps: int) -> list[Reads]:
    """So many steps with the callbacks that see each; returns the reads of each."""
    reads = StepReads()
    trainer = Trainer(
        strategy=MetaStrategy(),
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ScalarLog(), StopAfterImages(), reads],
    )
    module.on_train_end = lambda: None  # type: ignore[method-assign]  # it reads
    with meta_device():
        trainer.fit(module, DataLoader([batch] * steps, batch_size=None))
    return reads.steps
