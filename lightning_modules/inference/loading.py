"""Models out of checkpoints, without the module that trained them."""

import hashlib
import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import nn

from datamodules.errors import DataError
from models.autoencoder import TokenAutoencoder
from models.recipe import build_model

EMA = "ema."
"""Prefix of the averaged weights."""

Model = TypeVar("Model", bound=nn.Module)


def load_stage1(path: str | Path) -> TokenAutoencoder:
    """The averaged model of a stage-1 checkpoint, on the CPU, ready to encode and decode.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is no stage-1 checkpoint.
    """
    kind = "stage-1 checkpoint"
    model = averaged_model(read_checkpoint(path, kind), path)
    if not isinstance(model, TokenAutoencoder):
        raise wrong_kind(path, kind, model)
    return model


def load_model(path: str | Path, kind: str, of: type[Model]) -> tuple[Model, dict[str, Any]]:
    """The averaged model of a checkpoint, on the CPU, and all that the file holds.

    Args:
        kind: what the errors call the file.
        of: class of the model.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it holds another model.
    """
    content = read_checkpoint(path, kind)
    model = averaged_model(content, path)
    if not isinstance(model, of):
        raise wrong_kind(path, kind, model)
    return model, content


def wrong_kind(path: str | Path, kind: str, model: nn.Module) -> DataError:
    """The error for a checkpoint that holds another model than a `kind`."""
    return DataError(f"{path} is no {kind}: its model is a {type(model).__name__}.")


def read_checkpoint(path: str | Path, kind: str) -> dict[str, Any]:
    """Content of a checkpoint file with a model; `kind` is what the errors call it.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: torch can't read it, or there are no model and weights in it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}: name a file, e.g. best.ckpt.")
    try:
        # Mapped, so that the states of the optimisers are not read.
        content: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path} is no {kind}: torch can't read it.") from error
    if "model" not in content or "state_dict" not in content:
        raise DataError(f"{path} is no {kind}: it holds {sorted(content)}.")
    return content


def averaged_model(content: dict[str, Any], path: str | Path) -> nn.Module:
    """The model of a checkpoint's recipe with its averaged weights, without gradients.

    Raises:
        DataError: the recipe names code that is not ours, or the weights are of another model.
    """
    try:
        model = build_model(content["model"])
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    averaged = {
        name.removeprefix(EMA): value
        for name, value in content["state_dict"].items()
        if name.startswith(EMA)
    }
    try:
        model.load_state_dict(averaged)
    except RuntimeError as error:
        kind = type(model).__name__
        raise DataError(
            f"{path} lacks averaged weights that fit: its model is a {kind}."
        ) from error
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
