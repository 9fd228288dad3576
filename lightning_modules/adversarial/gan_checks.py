"""Checks before a GAN is trained: settings and data that do not fit together are refused."""

import math
from typing import Any

from datamodules.errors import DataError
from datamodules.modalities import DEPTH
from datamodules.shard_datamodule import ShardDataModule
from datamodules.stream_datamodule import StreamDataModule
from lightning_modules.adversarial.collapse import CollapseWatch
from lightning_modules.adversarial.discriminator_input import InputSettings
from lightning_modules.training.schedules import Schedule, check_schedule, scheduled_value
from models.wildgan import WildGAN


def check_training(
    model: WildGAN, raw_side: Schedule | None, collapse: CollapseWatch, max_images: int
) -> None:
    """Refuse render sizes that are no sizes, larger than the images or not where they end up,
    cameras inside the box, and looks at too few scenes to compare those of a class.

    Raises:
        ValueError, DataError: one sentence with the value, the limit and the knob.
    """
    if collapse.scenes < 2 * max(1, model.classes):
        raise ValueError(
            f"collapse.scenes is {collapse.scenes} for {model.classes} classes: diversity within a "
            f"class needs two of each, so give at least {2 * max(1, model.classes)}."
        )
    corner = model.views.radius - math.sqrt(3) * model.box.half
    if model.unbounded is None and corner <= 0:
        raise ValueError(
            f"Cameras {model.views.radius} from the origin are inside the box's corners: keep "
            f"`model.generator.box.half` below {model.views.radius / math.sqrt(3):.3f}, or raise "
            "`model.generator.views.radius`."
        )
    if raw_side is None:
        return
    check_schedule("model.raw_side", raw_side, 4, model.resolution)
    final = round(scheduled_value(raw_side, max_images))
    if final != model.raw_resolution:
        raise ValueError(
            f"raw_side ends at {final} pixels after {max_images} images, and the model is used at "
            f"{model.raw_resolution}: let it end there, or set `model.generator.raw_resolution`."
        )


def check_data(
    model: WildGAN, shown: InputSettings, datamodule: StreamDataModule[Any] | None
) -> None:
    """Refuse data of other classes, another size or another background, or without the depth that
    is judged.

    Raises:
        DataError: one sentence with the value, the limit and the knob.
    """
    if not isinstance(datamodule, ShardDataModule):
        return
    classes = len(datamodule.manifest.classes)
    if model.classes not in (0, classes):
        right = f"{classes}, or to 0 to ignore them" if classes else "0"
        raise DataError(
            f"The generator has {model.classes} classes, the data {classes}: set "
            f"`model.generator.classes` to {right}."
        )
    if datamodule.resolution != model.resolution:
        raise DataError(
            f"The generator makes images of {model.resolution} pixels, the data are loaded at "
            f"{datamodule.resolution}: make `data.resolution` and `model.generator.resolution` "
            "equal."
        )
    behind, around = model.space.background, datamodule.framing.background
    if behind is not None and around is not None and behind != around:
        raise DataError(
            f"Generated objects are seen on grey {behind}, those of the data on {around}: make "
            "`model.generator.box.background` and `data.background` equal."
        )
    if shown.disparity and DEPTH not in datamodule.modalities:
        raise DataError("shown.disparity needs depth: set `data.depth` to true.")
