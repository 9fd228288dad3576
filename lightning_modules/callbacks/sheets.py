"""Pictures of a fixed set of validation images: a sheet and an animated strip of novel views."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from datamodules.schema import Batch
from lightning_modules.drawing import colorize, gif_bytes, sheet, write_png
from lightning_modules.stage1 import Stage1
from models.scenes import Scenes
from models.vq3d import CanonicalView

SHEET_YAWS = (-0.4, -0.2, 0.2, 0.4)


class Sheets(Callback):
    """Draw the same images each `every_images` images and at the end, to `sheets/` and TensorBoard.

    A row of the sheet: input, reconstruction, given disparity, rendered disparity, novel views at
    `SHEET_YAWS` radians. The strip swings the camera to the same extent.
    """

    def __init__(self, every_images: int = 100_000, images: int = 8) -> None:
        self.every_images, self.images = every_images, images
        self.drawn_at = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from where this launch begins."""
        assert isinstance(pl_module, Stage1)
        self.drawn_at = pl_module.images_seen

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Draw when enough images have passed."""
        assert isinstance(pl_module, Stage1)
        if pl_module.images_seen - self.drawn_at >= self.every_images:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final model."""
        assert isinstance(pl_module, Stage1)
        self._draw(trainer, pl_module)

    @torch.no_grad()
    def _draw(self, trainer: Trainer, module: Stage1) -> None:
        self.drawn_at = module.images_seen
        if not trainer.is_global_zero or not (probe := self._probe(trainer)):
            return
        probe = probe.to(module.device)
        with trainer.precision_plugin.val_step_context():
            scenes = module.ema.reconstruct(probe.float_image())
            picture = reconstruction_sheet(scenes, module.model.view, probe)
            frames = swing_frames(scenes, module.model.view, probe.image.shape[-1])
        path = Path(trainer.default_root_dir) / "sheets" / f"{module.images_seen:09d}.png"
        write_png(path, picture)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                _log_pictures(logger, picture, frames, module.images_seen)

    def _probe(self, trainer: Trainer) -> Batch | None:
        """The first validation images, the same ones at all times."""
        loaders = trainer.val_dataloaders
        if not loaders:  # no validation split
            return None
        batch: Batch = next(iter(loaders))
        return batch[: self.images]


def reconstruction_sheet(scenes: Scenes, view: CanonicalView, batch: Batch) -> Tensor:
    """Sheet (3, H', W'): input, reconstruction, given and rendered disparity, novel views."""
    side = batch.image.shape[-1]
    canonical = scenes.view(scenes.canonical, side, side)
    columns = [batch.float_image(), canonical.rgb]
    if batch.depth is not None:
        columns.append(colorize(batch.disparity(), batch.disparity_known()))
    columns.append(colorize(canonical.disparity))
    novel = [turned(scenes, view, yaw, 0.0, side) for yaw in SHEET_YAWS]
    return sheet(columns + novel)


def swing_frames(
    scenes: Scenes, view: CanonicalView, side: int, frames: int = 12, yaw: float = 0.4
) -> list[Tensor]:
    """Pictures (3, H', W') of all scenes in a row while the camera swings once to both sides."""
    pictures = []
    for index in range(frames):
        phase = 2 * math.pi * index / frames
        images = turned(scenes, view, yaw * math.sin(phase), 0.3 * yaw * math.cos(phase), side)
        pictures.append(torch.cat(list(images), -1))
    return pictures


def turned(scenes: Scenes, view: CanonicalView, yaw: float, pitch: float, side: int) -> Tensor:
    """Images (B, 3, side, side) with the camera turned about the origin by angles in radians."""
    angles = torch.tensor([[yaw], [pitch]], device=scenes.planes.device)
    return scenes.view(view.offset(angles[0], angles[1]), side, side).rgb


def _log_pictures(
    logger: TensorBoardLogger, picture: Tensor, frames: list[Tensor], images_seen: int
) -> None:
    writer = logger.experiment
    writer.add_image("reconstruction", picture, images_seen)
    height, width = frames[0].shape[-2:]
    image = Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=gif_bytes(frames)
    )
    summary = Summary(value=[Summary.Value(tag="novel_views", image=image)])
    writer._get_file_writer().add_summary(summary, images_seen)
