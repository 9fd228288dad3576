"""Models out of checkpoints, without the module that trained them."""

import hashlib
import json
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from datamodules.errors import DataError
from lightning_modules.inference.checkpoint_file import Checkpoint, read_checkpoint
from models.autoencoder import TokenAutoencoder
from models.recipe import build_for

EMA = "ema."
"""Prefix of the averaged weights."""

Model = TypeVar("Model", bound=nn.Module)


def load_stage1(path: str | Path) -> TokenAutoencoder:
    """The averaged model of a stage-1 checkpoint, on the CPU, ready to encode and decode.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is no stage-1 checkpoint.
    """
    return load_model(path, "stage-1 checkpoint", TokenAutoencoder)[0]  # type: ignore[type-abstract]


def load_model(path: str | Path, kind: str, of: type[Model]) -> tuple[Model, Checkpoint]:
    """The averaged model of a checkpoint, on the CPU, and all that the file holds.

    Args:
        kind: what the errors call the file.
        of: class of the model.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is damaged, or holds another model.
    """
    checkpoint = read_checkpoint(path, kind)
    model = averaged_model(checkpoint)
    if not isinstance(model, of):
        raise wrong_kind(path, kind, model)
    return model, checkpoint


def wrong_kind(path: str | Path, kind: str, model: nn.Module) -> DataError:
    """The error for a checkpoint that holds another model than a `kind`."""
    name = type(model).__name__
    article = "an" if name.startswith("A") else "a"
    return DataError(f"{path} is no {kind}: its model is {article} {name}.")


def averaged_model(checkpoint: Checkpoint) -> nn.Module:
    """The model of a checkpoint's recipe with its averaged weights, without gradients.

    Raises:
        DataError: the recipe is none, or names code that is not ours, or the weights are of another
            model, or not finite.
    """
    averaged = {
        name.removeprefix(EMA): value
        for name, value in checkpoint.weights.items()
        if name.startswith(EMA)
    }
    try:
        model = build_for(checkpoint.recipe, averaged, checkpoint.size)
    except ValueError as error:
        raise DataError(f"{checkpoint.path}: {str(error).removesuffix('.')}.") from error
    model.load_state_dict(averaged)
    for name, value in model.state_dict().items():
        if not value.isfinite().all():
            raise DataError(
                f"{checkpoint.path} holds weights that are not finite ({name}), as a training that "
                "diverged leaves them: name an earlier checkpoint."
            )
    return model.eval().requires_grad_(False)


def weights_hash(model: nn.Module) -> str:
    """SHA-256 in hex of a model's weights, the same on every device.

    Models of equal hash make equal tokens of equal images.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
