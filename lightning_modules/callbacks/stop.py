"""End of a training, counted in images."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from lightning_modules.training.base import TrainingModule


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
