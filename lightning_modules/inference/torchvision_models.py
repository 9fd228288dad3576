"""Image classifiers of torchvision with weights from local files; nothing is downloaded."""

import re
from pathlib import Path

from torch import nn
from torchvision import models as torchvision_models
from torchvision.models import get_model, list_models

from datamodules.errors import DataError, first_line
from models.weights_file import read_weights

_OLD_DENSE = re.compile(r"(?<=\.norm|\.relu|\.conv)\.(?=[12]\.)")
"""The dot too many in names of DenseNet's published weights: norm.1 is norm1 now."""


def torchvision_names() -> list[str]:
    """Names of torchvision's image classifiers, e.g. resnet50."""
    return list_models(module=torchvision_models)


def open_torchvision(name: str, weights: str | Path, option: str) -> nn.Module:
    """A classifier of torchvision on the CPU, for images (B, 3, H, W) normalised as it expects.

    Args:
        name: of `torchvision_names`.
        weights: file of its state dict, as torchvision publishes it.
        option: where the file was named, for errors.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: there is no such model, or the file holds something else.
    """
    if name not in torchvision_names():
        raise DataError(f"torchvision has no model {name!r}: name one, e.g. resnet50.")
    if not Path(weights).is_file():
        raise FileNotFoundError(f"There is no file {weights}: check {option}.")
    network = get_model(name, weights=None)
    if hasattr(network, "transform_input"):  # off without weights, but published ones need it
        network.transform_input = True
    try:
        stored = read_weights(weights)
        if name.startswith("densenet"):
            stored = {_OLD_DENSE.sub("", key): value for key, value in stored.items()}
        network.load_state_dict(stored)
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{weights} does not hold the weights of torchvision's {name} ({first_line(error)}): "
            f"check {option}."
        ) from error
    return network.eval().requires_grad_(False)
