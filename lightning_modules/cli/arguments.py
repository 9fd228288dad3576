"""Lists on the command line as one types them: `--seeds 0,1,2`, `--images a.jpg b.jpg`."""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from lightning_modules.cli.flat_options import option_groups

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
