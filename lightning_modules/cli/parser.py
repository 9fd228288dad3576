"""Command-line parser that says what is wrong in one sentence, with the nearest key where it does
not know one."""

import dataclasses
import difflib
import inspect
import re
import sys
from argparse import ArgumentError
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from typing import Any, NoReturn, get_type_hints

from lightning.pytorch.cli import LightningArgumentParser
from yaml import YAMLError

from datamodules.errors import DataError
from lightning_modules.cli.sentences import plain_sentence
from lightning_modules.cli.settings_files import check_extent

_UNKNOWN_KEY = re.compile(
    r"Option '(?P<option>[^']+)' is not accepted"
    r"|does not accept option '(?P<member>[^']+)'"
    r"|unrecognized arguments: --(?P<argument>[^\s=]+)"
    r"|unknown key '(?P<nested>[^']+)'"
)
_OF_SUBCOMMAND = re.compile(r"\b(fit|validate)\.")
_SAYS_WHAT_TO_DO = re.compile(r"Did you mean|must be|: ")
_CLASS_PATH = re.compile(r"class_path '(?P<path>[\w.]+)'")


class NearestNameParser(LightningArgumentParser):
    """Rejects what its parent rejects, in one line that says what was probably meant."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *more: Any, **options: Any
    ) -> Any:
        """Parse the words of a command line.

        Raises:
            DataError: one would exhaust the memory.
        """
        for before, word in pairwise(["", *(args or ())]):
            name, equals, value = word.partition("=")
            _check_extent(name, value) if equals else _check_extent(before, word)
        try:
            return super().parse_args(args, *more, **options)
        except RecursionError:
            longest = max(args or [""], key=len)
            raise DataError(f"{longest[:40]}... is nested too deeply.") from None

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with code 2 and one sentence, without the usage, which can have 76 lines."""
        keys = {action.dest for action in self._actions}
        unknown = explain_unknown_key(message, keys)
        if not self.exit_on_error:  # a part of another parser, which will tell it
            raise ArgumentError(None, unknown or message) from ex
        parser = getattr(ex, "subcommand_parser", None) or self
        prog = parser.prog.replace(" [options]", "")
        if (found := _OF_SUBCOMMAND.search(message)) and parser is self and " " not in prog:
            prog += f" {found[1]}"
        sentence = unknown or plain_sentence(message)
        if not _SAYS_WHAT_TO_DO.search(sentence):
            sentence += f" See `{prog} --help`."
        sys.stderr.write(f"{prog}: {sentence}\n")
        self.exit(2)


def _check_extent(name: str, value: str) -> None:
    """DataError for a value that would exhaust the memory."""
    if value.lstrip()[:1] in ("{", "["):
        with suppress(YAMLError):  # told when it is parsed, as a value of its option
            check_extent(value, f"{name} {value[:40]}")


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
