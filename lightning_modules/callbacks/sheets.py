"""Pictures of the averaged model as it is trained, in the run's folder and in TensorBoard."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary

from datamodules.errors import check_number
from datamodules.schema import Batch, TokenBatch
from lightning_modules.pictures.drawing import Pictures, gif_bytes, write_png
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.schedules import MOST_IMAGES


class Sheets(Callback):
    """Draw the same samples every so often and at the end, to `sheets/` and TensorBoard.

    Args:
        every_images: interval in images seen.
        images: samples to draw; of a prior, classes.

    Raises DataError for a number outside its range.
    """

    def __init__(self, every_images: int = 100_000, images: int = 8) -> None:
        check_number("sheets.every_images", every_images, 1, MOST_IMAGES)
        check_number("sheets.images", images, 1, 10_000)
        self.every_images, self.images = every_images, images
        self.drawn_at = 0
        self.last_sheet: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the last multiple of the interval, however often a run is interrupted."""
        assert isinstance(pl_module, TrainingModule)
        self.drawn_at = pl_module.images_seen // self.every_images * self.every_images

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Draw when enough images have passed."""
        assert isinstance(pl_module, TrainingModule)
        if pl_module.images_seen - self.drawn_at >= self.every_images:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final model, unless it was just drawn."""
        assert isinstance(pl_module, TrainingModule)
        if self.last_sheet != pl_module.images_seen:
            self._draw(trainer, pl_module)

    @torch.no_grad()
    def _draw(self, trainer: Trainer, module: TrainingModule) -> None:
        module.check_finite()
        self.last_sheet = module.images_seen
        self.drawn_at = module.images_seen // self.every_images * self.every_images
        if not (probe := self._probe(trainer)):
            return
        average = module.whole_average()
        if not trainer.is_global_zero:
            return
        with trainer.precision_plugin.val_step_context():
            pictures = module.pictures(average, probe.to(module.device), self.images)
        path = Path(trainer.default_root_dir) / "sheets" / f"{module.images_seen:09d}.png"
        write_png(path, pictures[0].frames[0])
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for picture in pictures:
                    _log(logger, picture, module.images_seen)

    def _probe(self, trainer: Trainer) -> Batch | TokenBatch | None:
        """The first validation samples, the same ones at all times."""
        loaders = trainer.val_dataloaders
        if not loaders:  # no validation split
            return None
        batch: Batch | TokenBatch = next(iter(loaders))
        return batch[: self.images]


def _log(logger: TensorBoardLogger, picture: Pictures, images_seen: int) -> None:
    writer = logger.experiment
    if len(picture.frames) == 1:
        writer.add_image(picture.name, picture.frames[0], images_seen)
        return
    height, width = picture.frames[0].shape[-2:]
    image = Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=gif_bytes(picture.frames)
    )
    summary = Summary(value=[Summary.Value(tag=picture.name, image=image)])
    writer._get_file_writer().add_summary(summary, images_seen)
