"""`null` on the command line."""

import json
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

GROUPS = ("--model.", "--data.")
NULLS = ("null", "~")


def nulls_as_overlays(arguments: Sequence[str]) -> list[str]:
    """Arguments in which `--model.a.b null` is `--config '{"model": {"a": {"b": null}}}'`.

    jsonargparse (4.53) hands what is meant for a class within a class on as text, null as None,
    which no type but a string accepts, as that word. In a configuration null is null.
    """
    return list(_rewritten(arguments))


def _rewritten(arguments: Sequence[str]) -> Iterator[str]:
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
