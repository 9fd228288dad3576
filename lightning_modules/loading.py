"""Models out of checkpoints, without the module that trained them."""

from pathlib import Path
from pickle import UnpicklingError

import torch

from datamodules.errors import DataError
from models.recipe import build_model
from models.vq3d import VQ3D

EMA = "ema."


def load_stage1(path: str | Path) -> VQ3D:
    """The averaged model of a stage-1 checkpoint, on the CPU, ready to encode and decode.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is no stage-1 checkpoint.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}: name a file, e.g. best.ckpt.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(f"{path} is no stage-1 checkpoint: torch can't read it.") from error
    if "model" not in checkpoint or "state_dict" not in checkpoint:
        raise DataError(f"{path} is no stage-1 checkpoint: it holds {sorted(checkpoint)}.")
    weights = {
        name.removeprefix(EMA): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(EMA)
    }
    try:
        model = build_model(checkpoint["model"])
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if not isinstance(model, VQ3D):
        raise DataError(f"{path} is no stage-1 checkpoint: its model is a {type(model).__name__}.")
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)
