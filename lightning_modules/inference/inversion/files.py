"""Files of inverted photographs: checkpoints of tuned generators."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from datamodules.files import replacing
from lightning_modules.inference.inversion.inverted import InvertedPhoto
from lightning_modules.inference.loading import EMA, INVERSION
from renderers.mesh import NOTE_KEY


def write_inversion(path: Path, photo: InvertedPhoto, classes: Sequence[str], note: str) -> None:
    """Write a tuned generator with its latent and view, making the folder; the file appears whole
    or not. `load_generator` reads it.

    classes: names of the generator's classes; note: what made it.
    """
    content = {
        "model": photo.model.recipe(),
        "state_dict": {EMA + name: value.cpu() for name, value in photo.model.state_dict().items()},
        "classes": list(classes),
        INVERSION: {"mapped": photo.mapped.cpu(), "view": asdict(photo.view)},
        NOTE_KEY: note,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        torch.save(content, partial)
