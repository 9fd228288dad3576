"""Recipe of a model, stored in checkpoints beside its weights: class and constructor arguments."""

from importlib import import_module
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from torch import nn

Recipe = dict[str, Any]
"""{"class_path": "models.vq3d.VQ3D", "init_args": {...}} of plain numbers, strings and dicts."""


def build_model(recipe: Recipe) -> nn.Module:
    """Construct the model a recipe describes, with fresh weights.

    Raises:
        ValueError: the class is not one of ours; a checkpoint must not name arbitrary code.
    """
    class_path = recipe["class_path"]
    if not _is_ours(class_path):
        raise ValueError(f"Checkpoint names the model class {class_path!r}, not one of `models`.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "model")
    config = parser.parse_object({"model": dict(recipe)})
    return parser.instantiate(config).model


def _is_ours(class_path: str) -> bool:
    """Whether a path leads to a class defined in this package, not to one imported there, nor to
    one of another package of its name."""
    module, _, name = class_path.rpartition(".")
    if not module.startswith("models."):
        return False
    try:
        imported = import_module(module)
        found = getattr(imported, name)
    except (ImportError, AttributeError):
        return False
    defined_there = getattr(found, "__module__", None) == module
    place = Path(imported.__file__ or "").resolve()
    return defined_there and place.is_relative_to(Path(__file__).resolve().parent)
