"""Sheets of photographs, true views of their objects, and novel views of the reconstructions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from rich.progress import track
from torch import Tensor

from benchmarks.known_views import ObjectViews
from benchmarks.novel_cameras import angles, camera_at, placed, unit_of
from datamodules.schema import Batch
from lightning_modules.inference.tokenise import sight
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import sheet
from models.autoencoder import TokenAutoencoder
from renderers.cameras import Camera

ANGLES = (0.0, 45.0, 90.0, 135.0, 180.0)
"""Between the input and the views that are shown, in degrees; the nearest there are."""

OBJECTS = 4
"""Objects of each class."""


def class_sheets(
    models: Sequence[TokenAutoencoder],
    batches: Iterable[Batch],
    objects: Mapping[str, ObjectViews],
) -> dict[str, Tensor]:
    """Sheets (3, H, W) by class: of one photograph of each of several objects a row of input and
    true views, and below it a row for each model.

    batches: of photographs with cameras, masks, rays and sizes of boxes; objects: by their keys.
    """
    found: dict[str, list[Tensor]] = defaultdict(list)
    shown: set[int] = set()
    for batch in track(list(batches), "sheets"):
        for index, key in enumerate(batch.keys):
            views = objects[key]
            if id(views) in shown or len(found[views.label]) == OBJECTS:
                continue
            shown.add(id(views))
            found[views.label].append(_rows(models, batch, index, views))
    rows = ["true", *(type(model).__name__ for model in models)]
    columns = ["input", *(f"{angle:.0f} degrees" for angle in ANGLES)]
    return {
        label: labelled(sheet(list(torch.cat(parts, 1))), rows * len(parts), columns)
        for label, parts in found.items()
    }


@torch.no_grad()
def _rows(
    models: Sequence[TokenAutoencoder], batch: Batch, index: int, views: ObjectViews
) -> Tensor:
    """Rows of a photograph: columns and rows of tiles, (C, 1 + models, 3, S, S)."""
    assert batch.camera is not None
    seen_by, image = camera_at(batch.camera, index), batch.float_image()[index]
    apart = angles(seen_by, views.camera)
    nearest = [int((apart - angle).abs().argmin()) for angle in ANGLES]
    rows = [torch.cat([image[None], views.image[nearest]])]
    chosen = Camera(views.camera.cam2world[nearest], views.camera.intrinsics[nearest])
    for model in models:
        scenes = model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
        scene, side = scenes[index : index + 1], image.shape[-1]
        unit = unit_of(model, scene, seen_by, views)
        camera = placed(model, seen_by, chosen, unit)
        tiles = [scene.view(camera_at(camera, v), side, side).rgb for v in range(len(nearest))]
        rows.append(torch.cat([torch.ones_like(image)[None], *tiles]))
    return torch.stack(rows, 1)
