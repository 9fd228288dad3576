"""Values of JSON that others wrote: parsed without overflow, checked by type and range."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_SHOWN = 60


def parse_json(content: str | bytes | bytearray, unique: bool = False) -> Any:
    """Parse JSON; ValueError with the reason for every text that is none or is nested too deep.

    unique  refuse an object with a key twice, of which the last would count; slower
    """
    try:
        return json.loads(content, object_pairs_hook=_unique if unique else None)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"it has {shown(key)} twice in one object")
        found[key] = value
    return found


def shown(value: object) -> str:
    """A value as errors show it, shortened to a part of a sentence."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # of nested lists; of integers of thousands of digits
        return f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def as_object(value: Any, name: str) -> Mapping[str, Any]:
    """A JSON object; ValueError naming it otherwise."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {shown(value)}, expected an object")
    return value


def as_list(value: Any, name: str) -> list[Any]:
    """A JSON list; ValueError naming it otherwise."""
    if not isinstance(value, list):
        raise ValueError(f"{name} is {shown(value)}, expected a list")
    return value


def as_text(value: Any, name: str) -> str:
    """A JSON string; ValueError naming it otherwise."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}, expected text")
    return value


def as_integer(value: Any, name: str, low: int, high: int) -> int:
    """An integer from low to high, no boolean and no float; ValueError naming it otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {shown(value)}, expected an integer")
    if not low <= value <= high:
        raise ValueError(f"{name} is {shown(value)}, expected {low:,} to {high:,}")
    return value


def as_scalar(value: Any, name: str) -> str | int | float | bool | None:
    """Text, a finite number, a boolean or null; ValueError naming it otherwise."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}, expected a finite number")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{name} is {shown(value)}, expected text, a number, a boolean or null")
