"""Dataclass parameters of a verb as options beside its others: --top_k, not --sampling.top_k."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def option_groups(function: Callable[..., Any]) -> dict[str, type]:
    """The dataclasses among the parameters of a function, by their names."""
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters
    return {name: hints[name] for name in parameters if is_dataclass(hints[name])}


def call_flat(function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Call a function with its arguments and, beside them, the fields of its dataclasses.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Size:
    ...     height: int = 1
    ...     width: int = 1
    >>> def area(name: str, size: Size) -> str:
    ...     return f"{name}: {size.height * size.width}"
    >>> call_flat(area, {"name": "page", "width": 3})
    'page: 3'
    """
    rest, built = dict(options), {}
    for name, group in option_groups(function).items():
        given = {field.name: rest.pop(field.name) for field in fields(group) if field.name in rest}
        built[name] = group(**given)
    return function(**rest, **built)
