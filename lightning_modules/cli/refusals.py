"""Settings that a constructor refused, as one sentence with the place they have in YAML."""

from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, get_args, get_type_hints

from jsonargparse import Namespace

from datamodules.errors import DataError


def refusal(error: ValueError, settings: Namespace) -> str:
    """The sentence for a module that can't be built, e.g. "model.optimizer.lr is -1.0, it must be
    from 0 to 10."

    Args:
        error: what was raised while it was built.
        settings: class path and arguments of the module, the `model` of a configuration.
    """
    return _refused_group(settings, "model") or str(_first_cause(error))


def _refused_group(settings: Namespace, at: str, kind: Any = None) -> str | None:
    """What the first dataclass at or below a dotted key says of its settings, None where all take
    theirs.

    A dataclass knows the names of its fields, not where it is used: optimisers have several places.
    Building one again costs nothing.
    """
    if "class_path" in settings:
        module, _, name = settings.class_path.rpartition(".")
        kind = getattr(import_module(module), name)
        settings = settings.get("init_args", Namespace())
    hints = get_type_hints(kind if is_dataclass(kind) else kind.__init__)
    groups = {key: value for key, value in vars(settings).items() if isinstance(value, Namespace)}
    for key, group in groups.items():
        if refused := _refused_group(group, f"{at}.{key}", _group_type(hints.get(key))):
            return refused
    if isinstance(kind, type) and is_dataclass(kind):
        try:
            kind(**{key: value for key, value in vars(settings).items() if key not in groups})
        except (DataError, ValueError) as error:
            return f"{at}.{error}"
    return None


def _group_type(hint: Any) -> Any:
    """The dataclass of an annotation, which may be optional."""
    return next((kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)), None)


def _first_cause(error: Exception) -> Exception:
    """What a constructor raised, before jsonargparse put it into an account of a type.

    What a constructor itself gives as its reason, e.g. a KeyError, is no sentence for users.
    """
    causes = ValueError | DataError | FileNotFoundError
    while not isinstance(error, DataError) and isinstance(error.__cause__, causes):
        error = error.__cause__
    return error
