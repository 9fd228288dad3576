"""Arguments of the command line as people type them: lists, `null`, options of dataclasses."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import reduce
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from datamodules.errors import DataError
from datamodules.ranges import check_limits

_OPTION = re.compile(r"-[^\d.\s][^\s=]*(=|$)")
"""An option, with its value or without; -1 and -.5 are numbers, and what has spaces is none."""

_NUMBER = re.compile(r"[-+]?[\d.][\w.+-]*")


def gather_lists(function: Callable[..., Any], args: Sequence[str]) -> list[str]:
    """Arguments with the words after each list option of `function` gathered into one JSON list.

    Words are split at commas too, unless the list is of strings, which may contain some. Words that
    are a list as JSON stay as they are; brackets alone make none, e.g. in names of files.

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
        while position < len(args) and not _is_option(args[position]):
            words.append(args[position])
            position += 1
        gathered += [option, _as_list(words, item)] if words else [option]
    return gathered


def _as_list(words: list[str], item: Any) -> str:
    whole = " ".join(words)
    if _is_json_list(whole, item):
        return whole
    if item is str:
        return json.dumps(words)
    parts = [part for word in words for part in word.split(",") if part] or [""]
    return "[" + ",".join(p if _NUMBER.fullmatch(p) else json.dumps(p) for p in parts) + "]"


def _is_json_list(text: str, item: Any) -> bool:
    if not text.startswith("["):
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return item is not str or all(isinstance(each, str) for each in found)


def stand_ins(
    function: Callable[..., Any], args: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Arguments of which every text is replaced by a word that means nothing, and what it stands
    for: a parser that looks for YAML in texts would take a file `null` or `#1.png` for nothing.

    Args:
        args: as `gather_lists` gives them.

    >>> def verb(out: str, names: list[str], size: int) -> None: ...
    >>> words, texts = stand_ins(verb, ["--out", "null", "--size", "3", "--names", '["a", "~"]'])
    >>> words
    ['--out', 'text-0', '--size', '3', '--names', '["text-1", "text-2"]']
    >>> restored("text-0", texts), restored(["text-1", "text-2"], texts)
    ('null', ['a', '~'])
    """
    texts: dict[str, str] = {}

    def hide(text: str) -> str:
        stand_in = f"text-{len(texts)}"
        texts[stand_in] = text
        return stand_in

    lists = {option for option, item in _list_items(function).items() if item is str}
    options, words = _text_options(function) | lists, list[str]()
    for before, word in pairwise(["", *args]):
        name, equals, value = word.partition("=")
        if name in options and equals:
            words.append(f"{name}={hide(value)}")
        elif before not in options or _is_option(word):
            words.append(word)
        elif before in lists:
            words.append(json.dumps([hide(text) for text in json.loads(word)]))
        else:
            words.append(hide(word))
    return words, texts


def restored(value: Any, texts: Mapping[str, str]) -> Any:
    """A value, or what it stands for, or stand its items for."""
    if isinstance(value, list | tuple):
        return type(value)(restored(each, texts) for each in value)
    return texts.get(value, value) if isinstance(value, str) else value


def _is_option(word: str) -> bool:
    return _OPTION.match(word) is not None


def _list_items(function: Callable[..., Any]) -> dict[str, Any]:
    """Options of a function that take a list or a tuple, with the type of their items."""
    found = {}
    for option, members in _types(function):
        lists = [member for member in members if get_origin(member) in (list, tuple)]
        if lists:
            found[option] = get_args(lists[0])[0]
    return found


def _text_options(function: Callable[..., Any]) -> set[str]:
    """Options of a function that take a text as it is typed, or none."""
    return {option for option, members in _types(function) if set(members) - {NoneType} == {str}}


def _types(function: Callable[..., Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Options of a function and of its dataclasses, each with the types it may have."""
    targets: list[Callable[..., Any]] = [function, *option_groups(function).values()]
    for target in targets:
        hints = get_type_hints(target)
        for name in inspect.signature(target).parameters:
            hint = hints[name]
            union = get_origin(hint) in (Union, UnionType)
            yield f"--{name}", get_args(hint) if union else (hint,)


def option_groups(function: Callable[..., Any]) -> dict[str, type]:
    """The dataclasses among the parameters of a function, by their names."""
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters
    return {name: hints[name] for name in parameters if is_dataclass(hints[name])}


def call_flat(function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Call a function with its arguments and, beside them, the fields of its dataclasses.

    Raises:
        DataError: a value is beyond the limit in its annotation, see `check_limits`; besides
            whatever the function raises.

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
    check_limits(function, options)
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

    Raises:
        DataError: one has no value, which jsonargparse tells of `--model` as a whole.
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
        if not equals and not key.endswith(".help") and (not rest or _is_option(rest[0])):
            raise DataError(f"{key} is given without a value.")
        if not equals and rest and rest[0] in NULLS:
            value = rest.pop(0)
        if value in NULLS:
            yield from ("--config", _overlay(key.removeprefix("--").split(".")))
        else:
            yield argument


def _overlay(keys: Sequence[str]) -> str:
    nothing: Any = None
    return json.dumps(reduce(lambda inner, key: {key: inner}, reversed(keys), nothing))
