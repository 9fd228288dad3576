"""The classes that a user wants of a source, from the command line or from a text file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.build.keys import legible
from datamodules.errors import DataError
from datamodules.files import open_regular

_WIDE = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True)
class ClassList:
    """Classes to take: their folder (or tar) names and the names people read, by label."""

    folders: tuple[str, ...]
    names: tuple[str, ...]


def read_classes(
    classes: Sequence[str] | str | None, available: Sequence[str], source: str
) -> ClassList:
    """Classes asked for, by name or in a text file; None takes all that there are.

    classes    names, or the path of a text file with one a line; what is the whole name of a
               folder is that folder, else its first word is, and the rest is what people read
    available  names of folders and tars

    Raises DataError if one is not available or named twice, or if the file cannot be read.
    """
    if classes is None:
        return ClassList(tuple(available), tuple(map(legible, available)))
    lines = [classes] if isinstance(classes, str) else list(classes)
    by_name = {legible(name): name for name in available} | {name: name for name in available}
    file = ""
    if len(lines) == 1 and lines[0].strip() and _entry(lines[0], by_name) is None:
        file = lines[0]
        lines = _lines(file, source)
    entries = []
    for line in filter(str.strip, lines):
        entry = _entry(line, by_name)
        if entry is None:
            raise DataError(
                f"class {_first_word(line)!r} of the class list is not in {source}"
                f"{'; nor is ' + repr(line.strip()) if line.split()[1:] else ''}."
            )
        entries.append(entry)
    if not entries:
        raise DataError(f"{file or '--classes'} names no class: name at least one.")
    repeated = [name for name, times in Counter(e[0] for e in entries).items() if times > 1]
    if repeated:
        raise DataError(f"class {repeated[0]} is named twice in the class list: name it once.")
    return ClassList(tuple(e[0] for e in entries), tuple(e[1] for e in entries))


def _entry(line: str, by_name: dict[str, str]) -> tuple[str, str] | None:
    """Folder and the name people read of a line, None if there is no such folder."""
    for whole in (line, line.strip()):
        if whole in by_name:
            return by_name[whole], legible(by_name[whole])
    first, *rest = line.split(maxsplit=1) or [""]
    return (by_name[first], legible((rest or [first])[0].strip())) if first in by_name else None


def _first_word(line: str) -> str:
    return line.split(maxsplit=1)[0]


def _lines(file: str, source: str) -> list[str]:
    """Lines of a text file in UTF-8, with or without a mark, ended as on any system."""
    try:
        with open(open_regular(file), "rb") as opened:
            content = opened.read()
    except (OSError, ValueError, DataError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise DataError(
            f"{file} is no class of {source}, and as a list of classes it cannot be read: {reason}."
        ) from error
    encoding = next((name for mark, name in _WIDE.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        encoding = "UTF-16 or no text"
    if encoding is not None:
        raise DataError(f"the class list {file} is {encoding}: save it as UTF-8.")
    try:
        return re.split("\r\n|\r|\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"the class list {file} is not UTF-8 in line {line}, perhaps Latin-1: save it as UTF-8."
        ) from error
