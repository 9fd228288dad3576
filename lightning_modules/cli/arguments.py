"""Arguments of the command line as people type them: lists, `null`, options of dataclasses."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import reduce
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_OPTION = re.compile(r"-[^\d.]")
"""How an option begins; -1 and -.5 are numbers."""


def gather_lists(function: Callable[..., Any], args: Sequence[str]) -> list[str]:
    """Arguments with the words after each list option of `function` gathered into one JSON list.

    Words are split at commas too, unless the list is of strings, which may contain some. What is
    already a list in brackets stays.

    >>> def verb(seeds: list[int], names: list[str]) -> None: ...
    >>> gather_lists(verb, ["--seeds", "0,1", "2", "--names", "a b", "c,d"])
    ['--seeds', '[0,1,2]', '--names', '["a b", "c,d"]']
    """
    items = _list_items(function)
    gathered: list[str] = []
    position = 0
    while position < len(args):
        option, equals, first = args[position].partition("=")
        position += 1
        item = items.get(option)
        if item is None:
            gathered.append(args[position - 1])
            continue
        words = [first] if equals else []
        while position < len(args) and not _OPTION.match(args[position]):
            words.append(args[position])
            position += 1
        gathered += [option, _as_list(words, item)] if words else [option]
    return gathered


def _as_list(words: list[str], item: Any) -> str:
    if words[0].startswith("["):
        return " ".join(words)
    if item is str:
        return json.dumps(words)
    parts = [part for word in words for part in word.split(",") if part]
    return "[" + ",".join(parts) + "]"


def _list_items(function: Callable[..., Any]) -> dict[str, Any]:
    """Options of a function that take a list or a tuple, with the type of their items."""
    found = {}
    targets: list[Callable[..., Any]] = [function, *option_groups(function).values()]
    for target in targets:
        hints = get_type_hints(target)
        for name in inspect.signature(target).parameters:
            hint = hints[name]
            members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
            lists = [member for member in members if get_origin(member) in (list, tuple)]
            if lists:
                found[f"--{name}"] = get_args(lists[0])[0]
    return found


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


GROUPS = ("--model.", "--data.")
NULLS = ("null", "~")


def nulls_as_overlays(arguments: Sequence[str]) -> list[str]:
    """Arguments in which `--model.a.b null` is `--config '{"model": {"a": {"b": null}}}'`.

    jsonargparse (4.53) hands what is meant for a class within a class on as text, null as None,
    which no type but a string accepts, as that word. In a configuration null is null.
    """
    return list(_with_overlays(arguments))


def _with_overlays(arguments: Sequence[str]) -> Iterator[str]:
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        key, equals, value = argument.partition("=")
        if not key.startswith(GROUPS):
            yield argument
            continue
        if not equals and rest and rest[0] in NULLS:
            value = rest.pop(0)
        if value in NULLS:
            yield from ("--config", _overlay(key.removeprefix("--").split(".")))
        else:
            yield argument


def _overlay(keys: Sequence[str]) -> str:
    nothing: Any = None
    return json.dumps(reduce(lambda inner, key: {key: inner}, reversed(keys), nothing))
