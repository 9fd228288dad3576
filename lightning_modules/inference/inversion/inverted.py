"""A photograph that a GAN was fitted to, and its file: a checkpoint of the tuned generator."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files import replacing
from lightning_modules.inference.checkpoint_file import Checkpoint
from lightning_modules.inference.loading import EMA
from models.autoencoder import CanonicalView
from models.scenes import Scenes
from models.stored import as_type
from models.wildgan import WildGAN
from renderers.mesh import NOTE_KEY

INVERSION = "inversion"
"""Under which a checkpoint of a tuned GAN keeps the latent and the view of the photograph."""


@dataclass(frozen=True)
class InvertedPhoto:
    """A generator tuned to a photograph.

    mapped: (1, W), the latent it was tuned at; view: where the photograph is seen from.
    """

    model: WildGAN
    mapped: Tensor
    view: CanonicalView

    @torch.no_grad()
    def scenes(self) -> Scenes:
        """Its scene (1), whose canonical camera is that of the photograph."""
        made = self.model.scenes(self.mapped)
        return replace(made, canonical=self.view.camera(self.mapped.device))


def write_inversion(path: Path, photo: InvertedPhoto, classes: Sequence[str], note: str) -> None:
    """Write a tuned generator with its latent and view, making the folder; the file appears whole
    or not. `open_maker` reads it.

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
    with replacing(path) as partial, partial.open("wb") as file:  # torch hides errors of a path
        torch.save(content, file)


def read_inversion(
    checkpoint: Checkpoint, model: WildGAN, device: torch.device | str
) -> InvertedPhoto:
    """What `write_inversion` wrote, with the generator of that checkpoint on a device.

    Raises:
        DataError: the latent or the view is none.
    """
    stored = checkpoint.content[INVERSION]
    try:
        view = as_type(stored["view"], CanonicalView, "view")
        mapped = stored["mapped"]
        width = model.backbone.width
        if mapped.shape != (1, width) or not mapped.isfinite().all():
            raise ValueError(f"the latent is no row of {width} finite numbers")
        return InvertedPhoto(model, mapped.to(device), view)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(f"{checkpoint.path} holds no inverted photograph ({error}).") from error
