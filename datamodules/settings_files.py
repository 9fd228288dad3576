"""YAML files of settings, measured before they are built, so that none can exhaust the memory."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from datamodules.errors import DataError

MOST_BYTES = 1_000_000
MOST_VALUES = 100_000
DEEPEST = 64

RESOLVER, TEXT = Resolver(), Resolver.DEFAULT_SCALAR_TAG


def read_settings(file: str, option: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        option: what named it.

    Raises:
        DataError: it is no readable UTF-8 file, or what `check_settings` refuses.
    """
    if not file:
        raise DataError(f"{option} is empty: name a YAML file.")
    path = Path(file)
    if path.is_dir():
        raise DataError(f"{option} is '{path}', which is a folder: name a YAML file.")
    if not path.exists():
        raise DataError(f"there is no file {file}: check {option}.")
    if not path.is_file():
        raise DataError(f"{option} is {path}, which is a device or a pipe: name a YAML file.")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(f"{path} has {size:,} bytes, at most {MOST_BYTES:,} are read.")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 (byte {error.object[error.start]:#x} at {error.start}): save it "
            "as UTF-8."
        ) from error
    return check_settings(text, str(path))


def check_settings(text: str, name: str) -> dict[str, Any]:
    """The mapping that a YAML text is.

    Args:
        name: what errors call it.

    Raises:
        DataError: it is no YAML or another thing; it has a key twice or one that is no text,
            more than 100,000 values with those that aliases repeat, or more than 64 levels.
    """
    if len(text) > MOST_BYTES:
        raise DataError(f"{name} has {len(text):,} letters, at most {MOST_BYTES:,} are read.")
    try:
        check_extent(text, name)
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{name} is no YAML: {_reason(error)}.") from error
    except ValueError as error:  # of a date or a number that can't be
        raise DataError(f"{name} can't be read as YAML: {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"{name} holds {_kind(found)}, not `key: value` lines.")
    return found


@dataclass
class _Open:
    """A mapping or list that has not ended: values so far, its anchor, and, of a mapping, the keys
    and whether the next node is one."""

    anchor: str | None
    mapping: bool
    values: int = 1
    keys: set[str] = field(default_factory=set)
    at_key: bool = True


def check_extent(text: str, name: str) -> None:
    """Refuse a YAML text that is too large, too deep or has keys that can't be, before it is built.

    Raises:
        DataError, YAMLError: one sentence; or it is no YAML.
    """
    levels: list[_Open] = []
    sizes: dict[str, int] = {}
    for event in yaml.parse(text):
        if isinstance(event, NodeEvent) and levels:
            _check_key(levels[-1], event, name)
        match event:
            case MappingStartEvent() | SequenceStartEvent():
                levels.append(_Open(event.anchor, isinstance(event, MappingStartEvent)))
                _bound(len(levels), DEEPEST, "levels", name)
                continue
            case AliasEvent():
                if event.anchor not in sizes:
                    raise DataError(f"{name} repeats *{event.anchor} within itself or before it.")
                values = sizes[event.anchor]
            case ScalarEvent():
                values = 1
                sizes |= {event.anchor: 1} if event.anchor else {}
            case _ if type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
                ended = levels.pop()
                values = ended.values
                sizes |= {ended.anchor: values} if ended.anchor else {}
            case _:
                continue
        if levels:
            levels[-1].values += values
            _bound(
                levels[-1].values, MOST_VALUES, "values (those repeated by aliases counted)", name
            )


def _check_key(level: _Open, event: NodeEvent, name: str) -> None:
    """DataError if a node is a key that its mapping has already, or one that is no text."""
    if not level.mapping:
        return
    if level.at_key and isinstance(event, ScalarEvent) and event.value != "<<":
        line = event.start_mark.line + 1
        if event.value in level.keys:
            raise DataError(f"{name} has '{event.value}' twice (line {line}): leave one.")
        if RESOLVER.resolve(ScalarNode, event.value, event.implicit) != TEXT:
            raise DataError(
                f"{name} has the key '{event.value}' (line {line}), which YAML does not take for a "
                "name: correct it, or put it in quotes."
            )
        level.keys.add(event.value)
    level.at_key = not level.at_key


def _bound(found: int, most: int, what: str, name: str) -> None:
    if found > most:
        raise DataError(f"{name} has more than {most:,} {what}: no settings need them.")


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    words = " ".join(str(problem or error).split())
    return words if mark is None else f"{words} (line {mark.line + 1}, column {mark.column + 1})"


def _kind(found: object) -> str:
    match found:
        case None:
            return "nothing"
        case list():
            return "a list"
        case str():
            return "text"
    return f"{found}"
