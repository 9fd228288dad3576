"""Recipe of a model, stored in checkpoints beside its weights: class and constructor arguments."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from models.stored import arguments_of, as_type, told

Recipe = dict[str, Any]
"""{"class_path": "models.vq3d.VQ3D", "init_args": {...}} of plain numbers, strings and dicts."""

SPARE_PARAMETERS = 1000
"""That a model may register beyond those of its weights, e.g. while it is put together."""

SPARE_BYTES = 1 << 30
"""That a model may take beyond the size of its file: tables that are not stored."""


def build_model(recipe: object) -> nn.Module:
    """Construct the model a recipe describes, with fresh weights.

    Raises:
        ValueError: it is no recipe, its arguments do not fit, or the class is not one of ours; a
            checkpoint must not name arbitrary code.
    """
    if not isinstance(recipe, Mapping) or "class_path" not in recipe:
        raise ValueError(f"the model's recipe is {told(recipe)}, not a class and its arguments")
    class_path = as_type(recipe["class_path"], str, "class_path of the model")
    kind = _ours(class_path)
    if kind is None:
        raise ValueError(f"Checkpoint names the model class {class_path!r}, not one of `models`.")
    arguments = arguments_of(kind, recipe.get("init_args", {}), kind.__name__)
    try:
        return kind(**arguments)
    except ValueError as error:  # of an argument by its place in a configuration, which is not here
        raise ValueError(re.sub(r"^model\.\w+", kind.__name__, str(error))) from error


def build_for(recipe: object, weights: Mapping[str, Tensor], size: int) -> nn.Module:
    """Construct the model a recipe describes to take these weights, of a file of `size` bytes.

    It is constructed without memory first: a recipe can ask for any amount, its file is as large as
    its weights.

    Raises:
        ValueError: as `build_model`, or names the first weight that does not fit.
    """
    try:
        outline = _outline(recipe, len(weights))
        _check_weights(outline, weights)
        tensors = [*outline.parameters(), *outline.buffers()]
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        if needed > size + SPARE_BYTES:
            raise ValueError(f"its model takes {needed:,} bytes, the file has {size:,}")
        return build_model(recipe)
    except ValueError:
        raise
    except Exception as error:  # whatever a constructor raises that is given arguments of a file
        raise ValueError(f"its model can't be built ({' '.join(str(error).split())})") from error


def _outline(recipe: object, weights: int) -> nn.Module:
    """The model on the meta device, given up when it has far more parameters than `weights`."""
    registered = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal registered
        registered += 1
        if registered > 2 * weights + SPARE_PARAMETERS:
            raise ValueError(f"its model has far more parameters than the {weights} in the file")

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            return build_model(recipe)
    finally:
        hook.remove()


def _check_weights(outline: nn.Module, weights: Mapping[str, Tensor]) -> None:
    own, kind = outline.state_dict(), type(outline).__name__
    for name in [*own, *weights]:
        ours, theirs = (_form(side.get(name)) for side in (own, weights))
        if ours != theirs:
            raise ValueError(
                f"it lacks averaged weights that fit: its model is a {kind} with {name} {ours}, "
                f"not {theirs}"
            )


def _form(value: Tensor | None) -> str:
    if value is None:
        return "none"
    kind = "numbers" if value.is_floating_point() else "integers"
    return f"of shape {list(value.shape)}, {kind}"


def _ours(class_path: str) -> type[nn.Module] | None:
    """The class of a path if it is a model defined in this package, not one imported there, nor one
    of another package of its name."""
    module, _, name = class_path.rpartition(".")
    if not module.startswith("models."):
        return None
    try:
        imported = import_module(module)
        found = getattr(imported, name)
    except (ImportError, AttributeError, ValueError):
        return None
    defined_there = getattr(found, "__module__", None) == module
    place = Path(imported.__file__ or "").resolve()
    inside = defined_there and place.is_relative_to(Path(__file__).resolve().parent)
    return found if inside and isinstance(found, type) and issubclass(found, nn.Module) else None
