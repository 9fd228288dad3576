"""A training whose weights went to infinity: never saved, and continued from before."""

import os
import shutil
from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from torch.distributed.tensor import DTensor

from datamodules.errors import DataError
from datamodules.files import replacing
from lightning_modules.callbacks.stopping import any_rank
from lightning_modules.inference.checkpoint_file import BEST, LAST, PREVIOUS, open_whole

DIVERGED = "diverged.ckpt"
"""A state from which the next step could not be made."""

BEGINS_ANEW = "the same command begins anew"


@torch.no_grad()
def check_weights(trainer: Trainer, module: LightningModule, images: int) -> None:
    """Refuse to save weights that are not finite; every process must call.

    Raises:
        FloatingPointError: they are not, on any process.
    """
    state = module.state_dict().values()
    own = [value.to_local() if isinstance(value, DTensor) else value for value in state]
    finite = all(torch.stack([value.isfinite().all() for value in own]).tolist()) if own else True
    if any_rank(trainer, not finite):
        raise FloatingPointError(
            f"The weights are not finite after {images:,} images: lower the learning rate."
        )


def step_back(folder: Path, images: int) -> str:
    """Set a last checkpoint aside whose next step failed after `images` images, which the same
    command would continue from; returns what it continues from instead."""
    last, diverged = folder / LAST, folder / DIVERGED
    os.replace(last, diverged)
    aside = f"The state it failed in is now {diverged}"
    if (earlier := earlier_checkpoint(folder, images)) is None:
        way = "begin another run (`--run`)" if (folder / BEST).exists() else BEGINS_ANEW
        return f"{aside}; there is none from before, {way}."
    path, seen = earlier
    with replacing(last) as partial:
        try:
            os.link(path, partial)
        except OSError:  # a disk without hard links
            shutil.copyfile(path, partial)
    return f"{aside}; the same command continues from {path}, after {seen:,} images."


def earlier_checkpoint(folder: Path, images: int) -> tuple[Path, int] | None:
    """The newest whole checkpoint of a run from before so many images, and those it has seen."""
    for path in (folder / PREVIOUS, folder / BEST):
        try:
            seen = open_whole(path).images_seen
        except (OSError, ValueError, DataError):
            continue
        if seen < images:
            return path, seen
    return None
