"""Command-line parser that says what is wrong in one sentence, with the nearest key where it does
not know one."""

import difflib
import re
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NoReturn

from jsonargparse import Namespace
from jsonargparse._actions import _ActionConfigLoad
from lightning.pytorch.cli import LightningArgumentParser
from yaml import YAMLError

from datamodules.errors import DataError
from datamodules.settings_files import check_extent
from lightning_modules.cli.sentences import plain_sentence

_UNKNOWN_KEY = re.compile(
    r"Option '(?P<option>[^']+)' is not accepted"
    r"|(Group '(?P<group>[^']+)'|Subcommand '\w+') does not accept option '(?P<member>[^']+)'"
    r"|unrecognized arguments: --(?P<argument>[^\s=]+)"
)
_TOLD = re.compile(
    r"(?P<key>unknown key '[^']+')(?P<place> of [\w.]+)?(?P<meant>\.( Did you mean '[^']+'\?)?)"
)
_CLASS_PATH = re.compile(r"class_path '(?P<path>[\w.]+)'")
_SAYS_WHAT_TO_DO = re.compile(r"Did you mean|must be|: ")


class NearestNameParser(LightningArgumentParser):
    """Refuses what its parent refuses, in one sentence that says what was probably meant, and
    groups of settings that are none."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *more: Any, **options: Any
    ) -> Any:
        """Parse the words of a command line.

        Raises:
            DataError: one would exhaust the memory, or what `error` says.
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
        """Tell one sentence, without the usage, which can have 76 lines.

        Raises:
            DataError: the sentence; ArgumentError in a part of another parser, which will tell it.
        """
        unknown = explain_unknown_key(message, self._keys())
        if not self.exit_on_error:
            raise ArgumentError(None, unknown or message) from ex
        sentence = unknown or plain_sentence(message)
        hint = "" if _SAYS_WHAT_TO_DO.search(sentence) else " See --help."
        raise DataError(sentence + hint) from ex

    def _keys(self) -> set[str]:
        """Dotted keys of this parser and of those of its subcommands."""
        parts = [self]
        for action in self._actions:
            if isinstance(action.choices, Mapping):
                parts += action.choices.values()
        found = {action.dest for part in parts for action in part._actions}
        return {key for key in found if not key.endswith("help")}

    def _apply_actions(
        self, cfg: Any, parent_key: str = "", *more: Any, **options: Any
    ) -> Namespace:
        """Take up settings, of which jsonargparse (4.53) drops a group in silence that is a number,
        a list or null: those of `trainer: 3` would be lost."""
        given = cfg if isinstance(cfg, Namespace) else Namespace(cfg)
        for action in self._actions:
            key = action.dest.removeprefix(f"{parent_key}.")
            if not isinstance(action, _ActionConfigLoad) or key not in given:
                continue
            if not isinstance(given[key], str | Mapping | Namespace):
                raise TypeError(
                    f'Parser key "{action.dest}": Expected a group. Got value: {given[key]}'
                )
        return super()._apply_actions(cfg, parent_key, *more, **options)


def _check_extent(name: str, value: str) -> None:
    """DataError for a value that would exhaust the memory."""
    if value.lstrip()[:1] in ("{", "["):
        with suppress(YAMLError):  # told when it is parsed, as a value of its option
            check_extent(value, f"{name} {value[:40]}")


def explain_unknown_key(message: str, keys: set[str]) -> str | None:
    """A parser's message about an unknown key as one sentence with the nearest known one.

    Args:
        message: what jsonargparse says, or one of its parsers that holds what this has said of the
            arguments of a class.
        keys: dotted keys of the parser itself.

    Returns:
        None when the message is about something else.
    """
    classes = _CLASS_PATH.findall(message)
    place = f" of {classes[-1]}" if classes else ""
    if told := _TOLD.search(message):
        return f"{told['key']}{told['place'] or place}{told['meant']}"
    if (found := _UNKNOWN_KEY.search(message)) is None:
        return None
    names = found.groupdict()
    last = names["option"] or names["member"] or names["argument"]
    given = f"{names['group']}.{last}" if names["group"] else last
    near = nearest_key(given, keys - {given})
    return f"unknown key '{given}'{place}." + (f" Did you mean '{near}'?" if near else "")


def nearest_key(given: str, known: set[str]) -> str | None:
    """The known dotted key that resembles `given` most, or its last part if only that does."""
    last_parts = {key.split(".")[-1] for key in known}
    for word, words in ((given, known), (given.split(".")[-1], last_parts)):
        near = difflib.get_close_matches(word, sorted(words), n=1, cutoff=0.6)
        if near:
            return near[0]
    return None
