"""What a prior was asked for against what is measured of its scenes: class, size, time of day."""

from __future__ import annotations

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import MASK, MASK_OBJECT
from datamodules.rows import SplitRows
from lightning_modules.evaluation.condition_figures import (
    Asked,
    Brightness,
    Found,
    size_figures,
    time_figures,
)
from lightning_modules.evaluation.measures import Measures
from lightning_modules.evaluation.sample_measures import extents, luminance, object_luminance
from lightning_modules.evaluation.subjects import Seen

READ_AT_ONCE = 64


def told_and_found(seen: Seen) -> Tensor:
    """Length, width, height and time of day that scenes were asked for, their extents along x, y
    and z, and the luminance of their objects: (B, 8) float32, NaN unknown."""
    scenes, count = seen.scenes, len(seen.scenes)
    bright = object_luminance(seen.view, scenes.space.background).cpu()
    unmeasured = torch.full((count, 3), torch.nan)
    extent = unmeasured if scenes.space.box() is None else extents(scenes)
    size, time = unmeasured, torch.full((count,), torch.nan)
    if seen.asked is not None:
        size, time = seen.asked.size, seen.asked.time.float()
        time = time.where(time >= 0, torch.nan)
    return torch.cat([size, time[:, None], extent, bright[:, None]], 1)


def real_brightness(photographs: SplitRows) -> Brightness:
    """How real objects differ by time of day.

    Raises:
        DataError: there are no masks, or no image is of some time of day.
    """
    if MASK not in photographs.manifest.modalities:
        raise DataError(
            f"{photographs.root} has no masks, so objects' times of day can't be told: leave "
            "conditions out of --metrics."
        )
    found, count = [], len(photographs)
    for start in track(range(0, count, READ_AT_ONCE), "real times of day"):
        batch = photographs.read(range(start, min(start + READ_AT_ONCE, count)))
        assert batch.mask is not None  # there are masks
        found.append(luminance(batch.float_image(), batch.mask == MASK_OBJECT))
    return Brightness.of(photographs.records.time_of_day, torch.cat(found))


def condition_figures(
    measured: Measures, asks: tuple[str, ...], bright: Brightness | None
) -> dict[str, float]:
    """Share of scenes that a classifier calls by the class asked for; rank correlation of asked
    sides with those of the scenes, over all and within classes; and how well day is told from
    night.

    asks: conditions beside the class that were asked for.
    """
    found: dict[str, float] = {}
    if (measured.labels >= 0).any():
        guess = measured.features.logits.argmax(1)
        known = measured.labels >= 0
        found["class_called"] = float((guess == measured.labels)[known].double().mean())
    size, time, extent, light = measured.told.split([3, 1, 3, 1], 1)
    asked = Asked(measured.labels, size, time[:, 0].nan_to_num(-1).long())
    seen = Found(extent, light[:, 0], torch.zeros_like(measured.labels))
    if "size" in asks:
        figures = size_figures(asked, seen)
        found["size_correlation"] = figures["sides pooled: rank correlation"]
        found["size_within_class"] = figures["sides within a class: mean rank correlation"]
    if "time of day" in asks and bright is not None:
        found["day_from_night"] = time_figures(asked, seen, bright)["day told from night"]
    return found
