"""Pictures of a stage-1 model: a sheet of reconstructions and an animated strip of novel views."""

import math

import torch
from torch import Tensor

from datamodules.schema import Batch
from lightning_modules.pictures.drawing import Pictures, colored_disparity, colorize, sheet
from models.autoencoder import CanonicalView
from models.scenes import Scenes, View

SHEET_YAWS = (-0.4, -0.2, 0.2, 0.4)


def reconstruction_pictures(
    scenes: Scenes, seen: View, view: CanonicalView, batch: Batch
) -> list[Pictures]:
    """The sheet and the strip of scenes that were reconstructed from a batch.

    A row of the sheet: input, reconstruction, given disparity, rendered disparity, novel views at
    `SHEET_YAWS` radians. The strip swings the camera to the same extent. seen: the scenes as the
    images see them.
    """
    frames = swing_frames(scenes, view, batch.image.shape[-1])
    return [
        Pictures("reconstruction", [reconstruction_sheet(scenes, seen, view, batch)]),
        Pictures("novel_views", frames),
    ]


def reconstruction_sheet(scenes: Scenes, seen: View, view: CanonicalView, batch: Batch) -> Tensor:
    """Sheet (3, H', W'): input, reconstruction, given and rendered disparity, novel views."""
    side = batch.image.shape[-1]
    columns = [batch.float_image(), seen.rgb]
    if batch.depth is not None:
        columns.append(colorize(batch.disparity(), batch.disparity_known()))
    columns.append(colored_disparity(seen))
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
