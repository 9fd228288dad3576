"""A sheet of images, labels, and both laid over each other, to look at before all are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from datamodules.build.labelling import Label
from datamodules.image_bytes import decode_map
from datamodules.join import JoinedShard
from datamodules.manifest import Manifest
from datamodules.modalities import (
    DEPTH,
    DISPARITY_UNKNOWN,
    MASK,
    MASK_BACKGROUND,
    MASK_OBJECT,
    MASK_OCCLUDER,
    MASK_UNKNOWN,
    RGB,
)
from lightning_modules.labelling.labeller import DecodedImage, ImageLabeller, decoded
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import colorize, sheet

LabelModality = Literal["depth", "mask"]
TILE = 160
"""Side of the pictures in pixels."""
COLUMNS = ("image", "label", "both")
COLORS = {
    MASK_BACKGROUND: (0.15, 0.15, 0.35),
    MASK_OBJECT: (0.95, 0.75, 0.20),
    MASK_OCCLUDER: (0.80, 0.20, 0.25),
    MASK_UNKNOWN: (0.50, 0.50, 0.50),
}
"""Of mask codes: dark blue background, yellow object, red occluder, grey unknown."""


def preview(
    labeller: ImageLabeller, manifest: Manifest, modality: LabelModality, count: int
) -> Tensor:
    """A sheet (3, H, W) in [0, 1] of images spread evenly over all shards.

    Depth is dark where far and pale where near, masks have `COLORS`; unknown is grey.
    """
    rows, names = [], []
    for image in _spread(labeller.root, manifest, count):
        (label,) = labeller.labels([image])
        names.append(label.key if label.unknown is None else f"{label.key}: {label.unknown}")
        rows.append(_pictures(image, label, modality))
    columns = [torch.stack(column) for column in zip(*rows, strict=True)]
    return labelled(sheet(columns), names, COLUMNS)


def _spread(root: str, manifest: Manifest, count: int) -> Iterator[DecodedImage]:
    shards = [(split, shard) for split, of in manifest.splits.items() for shard in of]
    ends = np.cumsum([shard.samples for _, shard in shards])
    numbers = np.unique(np.linspace(0, ends[-1] - 1, count).astype(int))
    for place, (split, shard) in enumerate(shards):
        rows = numbers - ends[place] + shard.samples
        images = JoinedShard(root, split, shard, (RGB,), strict=True)
        try:
            for row in rows[(rows >= 0) & (rows < shard.samples)].tolist():
                yield decoded(images.read(row))
        finally:
            images.close()


def _pictures(image: DecodedImage, label: Label, modality: LabelModality) -> tuple[Tensor, ...]:
    """Image, label and both, (3, TILE, TILE) each."""
    if image.pixels is None:
        shown = torch.full((3, *image.size), 0.5)
    else:
        shown = torch.from_numpy(image.pixels).movedim(-1, 0) / 255
    bits = 16 if modality == DEPTH else 8
    values = torch.from_numpy(
        decode_map(label.content, bits, image.size, modality).astype(np.int64)
    )
    if modality == MASK:
        colored = torch.zeros(3, *image.size)
        for code, color in COLORS.items():
            colored[:, values == code] = torch.tensor(color)[:, None]
    else:
        colored = colorize(values[None], values[None] != DISPARITY_UNKNOWN)[0]
    return tuple(_tile(picture) for picture in (shown, colored, (shown + colored) / 2))


def _tile(picture: Tensor) -> Tensor:
    """A picture (3, H, W) in the middle of a white square."""
    scale = TILE / max(picture.shape[1:])
    height, width = (max(1, round(side * scale)) for side in picture.shape[1:])
    small = interpolate(picture[None], (height, width), mode="bilinear", antialias=True)[0]
    left, top = (TILE - width) // 2, (TILE - height) // 2
    around = (left, TILE - width - left, top, TILE - height - top)
    return pad(small, around, value=1.0)
