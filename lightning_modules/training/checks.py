"""Checks that trainings share: of a checkpoint to continue from, images, labels and warm-up."""

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import MASK, RAYS
from datamodules.schema import Batch, TokenBatch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.training.optimization import OptimizerSettings
from models.autoencoder import TokenAutoencoder
from models.recipe import Recipe
from models.stored import told


def check_format(checkpoint: Mapping[str, Any], own: int) -> None:
    """Refuse to continue a run whose checkpoint stores its state in another form.

    Raises:
        DataError: one sentence with both formats, and what to do.
    """
    saved = checkpoint.get("format", 1)
    if type(saved) is not int or saved != own:
        raise DataError(
            f"The run's checkpoint is of format {told(saved)}, this version continues format "
            f"{own}: continue it with the version in the run's versions.json, or start another "
            "run (`--run`); reconstruct, sample and the other tools open it as it is."
        )


def check_same_class(checkpoint: dict[str, Any], recipe: Recipe) -> None:
    """DataError that names both classes if a run was of another model."""
    saved, own = checkpoint["model"]["class_path"], recipe["class_path"]
    if saved != own:
        raise DataError(
            f"The run holds a {saved.rpartition('.')[2]}, this configuration trains a "
            f"{own.rpartition('.')[2]}: start another run (`--run`)."
        )


def check_same_shapes(checkpoint: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Refuse to continue a run with a model of other sizes.

    Raises:
        DataError: one sentence with the first difference, and the knob.
    """
    stored = checkpoint.get("state_dict", state)  # FSDP2 has loaded it already
    for name in stored | state:
        run, ours = (list(side[name].shape) if name in side else "none" for side in (stored, state))
        if run != ours:
            raise DataError(
                f"The run's model has {name} of shape {run}, this configuration's "
                f"{ours}: give the run's own sizes (config.yaml), or start another run "
                "(`--run`)."
            )


def changed_settings(saved: Mapping[str, Any], own: Mapping[str, Any], path: str = "") -> list[str]:
    """Settings that leave the shapes alone and differ from those a run was trained with so far,
    e.g. ``"views.radius 1.6 (until now 2.5)"``."""
    changes = []
    for name in saved.keys() & own.keys():
        before, now, knob = saved[name], own[name], f"{path}{name}"
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            changes += changed_settings(before, now, f"{knob}.")
        elif json.dumps(before) != json.dumps(now):  # tuples and lists are alike
            changes.append(f"{knob} {now} (until now {before})")
    return sorted(changes)


def check_warmup(optimizer: OptimizerSettings, max_images: int, knob: str = "optimizer") -> None:
    """Refuse a learning rate that would never reach its peak; knob: the setting's name.

    Raises:
        ValueError: one sentence with the value, the limit and the knob.
    """
    if optimizer.warmup >= max_images:
        raise ValueError(
            f"The learning rate would warm up for {optimizer.warmup} images of {max_images}: "
            f"lower `{knob}.warmup`."
        )


def check_labels(batch: Batch | TokenBatch, labels: range, who: str, knob: str) -> None:
    """Refuse a batch with other labels than these, unless they are empty: then none is looked at.

    who: has the classes, e.g. "the prior"; knob: the setting of their number.

    Raises:
        DataError: names the first such sample.
    """
    for key, label in zip(batch.keys, batch.label.tolist(), strict=True):
        if labels and label not in labels:
            raise DataError(
                f"{key} has label {label}, {who} takes {labels[0]} to {labels[-1]}: write the "
                f"shards again with classes, or change `{knob}`."
            )


def check_images(autoencoder: TokenAutoencoder, datamodule: ShardDataModule) -> None:
    """Refuse images of another size than the autoencoder's, or loaded without what it looks at and
    the data have.

    Raises:
        DataError: one sentence with the value and the knobs.
    """
    resolution = autoencoder.resolution
    if datamodule.resolution != resolution:
        raise DataError(
            f"The autoencoder takes images of {resolution} pixels, the data are loaded at "
            f"{datamodule.resolution}: make `data.resolution` and the autoencoder's equal."
        )
    given, loaded = datamodule.manifest.modalities, datamodule.modalities
    for modality in (RAYS, MASK) if autoencoder.uses_sight else ():
        if modality in given and modality not in loaded:
            raise DataError(
                f"The autoencoder looks at an image's {modality}, which the data have and nobody "
                f"loads: set `data.{modality}` to true."
            )
