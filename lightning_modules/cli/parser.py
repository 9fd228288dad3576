"""Command-line parser that names the nearest key when it meets one it does not know."""

import dataclasses
import difflib
import inspect
import re
from importlib import import_module
from typing import Any, NoReturn, get_type_hints

from lightning.pytorch.cli import LightningArgumentParser

_UNKNOWN_KEY = re.compile(
    r"Option '(?P<option>[^']+)' is not accepted"
    r"|does not accept option '(?P<member>[^']+)'"
    r"|unrecognized arguments: --(?P<argument>[^\s=]+)"
    r"|unknown key '(?P<nested>[^']+)'"
)
_CLASS_PATH = re.compile(r"class_path '(?P<path>[\w.]+)'")


class NearestNameParser(LightningArgumentParser):
    """Rejects unknown keys like its parent, in one line that says what was probably meant."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with code 2 and one message."""
        keys = {action.dest for action in self._actions}
        super().error(explain_unknown_key(message, keys) or message, ex)


def explain_unknown_key(message: str, keys: set[str]) -> str | None:
    """A parser's message about an unknown key as one sentence with the nearest known one.

    Args:
        message: what jsonargparse says.
        keys: dotted keys of the parser itself; those of the classes that the message names, with
            the fields of their dataclass arguments, are added.

    Returns:
        None when the message is about something else.
    """
    found = _UNKNOWN_KEY.search(message)
    if found is None:
        return None
    given = next(group for group in found.groups() if group)
    classes = _CLASS_PATH.findall(message)
    known = keys.union(*(constructor_keys(path) for path in classes))
    place = f" of {classes[-1]}" if classes else ""
    near = nearest_key(given, known)
    return f"unknown key '{given}'{place}." + (f" Did you mean '{near}'?" if near else "")


def nearest_key(given: str, known: set[str]) -> str | None:
    """The known dotted key that resembles `given` most, or its last part if only that does."""
    last_parts = {key.split(".")[-1] for key in known}
    for word, words in ((given, known), (given.split(".")[-1], last_parts)):
        near = difflib.get_close_matches(word, sorted(words), n=1, cutoff=0.6)
        if near:
            return near[0]
    return None


def constructor_keys(path: str) -> set[str]:
    """Arguments of a class by its import path, and the fields of those that are dataclasses."""
    module, _, name = path.rpartition(".")
    try:
        target = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return set()
    hints = get_type_hints(target.__init__)
    keys: set[str] = set()
    for argument in inspect.signature(target.__init__).parameters:
        keys |= {argument, *(f"{argument}.{field}" for field in _field_names(hints.get(argument)))}
    return keys - {"self"}


def _field_names(annotation: Any) -> list[str]:
    if not dataclasses.is_dataclass(annotation):
        return []
    return [field.name for field in dataclasses.fields(annotation)]
