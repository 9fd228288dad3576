"""Limits of settings, written beside their types: `size: Annotated[int, Range(1, 8192)]`."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from types import NoneType
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from datamodules.errors import DataError, check_number
from datamodules.manifest import MAX_SHARD_SAMPLES


@runtime_checkable
class Limit(Protocol):
    """What a value is held to."""

    def check(self, name: str, value: Any) -> None:
        """DataError with name, value and limit if the value is beyond it."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both of which are allowed; high may be infinite."""

    low: float
    high: float = math.inf

    def __repr__(self) -> str:
        """As help shows it."""
        return f"from {self.low:,}" + (f" to {self.high:,}" if math.isfinite(self.high) else "")

    def check(self, name: str, value: Any) -> None:
        """DataError if a number is outside."""
        check_number(name, value, self.low, self.high)


Count = Annotated[int, Range(1, 2**31 - 1)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Workers = Annotated[int, Range(0, 1024)]
Fraction = Annotated[float, Range(0, 1)]
Resolution = Annotated[int, Range(1, 8192)]
ShardSize = Annotated[int, Range(1, MAX_SHARD_SAMPLES)]


def check_limits(
    function: Callable[..., Any], values: Mapping[str, Any], prefix: str = "--"
) -> None:
    """Hold values, by name, to the limits in the annotations of a function and of its dataclasses.

    prefix: what stands before a name where the user writes it.

    Raises:
        DataError: the first that is beyond its limit, e.g. --size is 0, it must be from 1 to 8,192;
            or is empty, or null and must have a value.
    """
    for name, hint in _hints(function):
        found = values.get(name)
        if found is None:
            if name in values and NoneType not in get_args(hint):
                raise DataError(f"{prefix}{name} is null: give a value, or leave it out.")
            continue
        items = found if isinstance(found, list | tuple) else (found,)
        if "" in items:
            raise DataError(f"{prefix}{name} is empty: give a value, or leave it out.")
        for limit in _limits(hint):
            for value in items:
                if not (isinstance(limit, Range) and isinstance(value, str)):
                    limit.check(f"{prefix}{name}", value)  # a text is a word beside numbers


def _hints(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(function, include_extras=True)
    for name in inspect.signature(function).parameters:
        yield name, hints[name]
        if is_dataclass(hints[name]):
            yield from get_type_hints(hints[name], include_extras=True).items()


def _limits(hint: Any) -> Iterator[Limit]:
    """Those of a type, of the members of a union, and of the items of a list or tuple."""
    if get_origin(hint) is Annotated:
        yield from (extra for extra in hint.__metadata__ if isinstance(extra, Limit))
    inner = get_args(hint)
    items = inner[:1] if get_origin(hint) in (list, tuple) else inner
    for member in items:
        yield from _limits(member)
