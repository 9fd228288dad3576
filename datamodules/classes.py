"""Classes as users name them: by name or number."""

import difflib
import re
from collections.abc import Sequence
from functools import lru_cache

from datamodules.errors import DataError
from datamodules.json_values import shown

ALL = "all"
"""Stands for every class."""

ANY = "any"
"""Leaves the class unknown, label -1."""

_DIGITS = 18  # of the longest number that may be a label
_PART_BYTES = 150  # of a name that becomes a part of file names, which have 255


def class_labels(wanted: Sequence[str], classes: int, names: Sequence[str]) -> list[int]:
    """Labels of the classes a user names, each once, in the user's order; `all` stands for all, or
    for -1, any class, where there are none; `any` for -1.

    Raises:
        DataError: there is no such class, or none is named.
    """
    if not wanted:
        raise DataError("--classes is empty: name at least one, or all.")
    labels: list[int] = []
    every = list(range(classes)) or [-1]
    for name in wanted:
        labels += every if name == ALL else [class_label(name, classes, names)]
    return list(dict.fromkeys(labels))


def class_label(name: str, classes: int, names: Sequence[str]) -> int:
    """The label of a class's name; or, unless a class is named so, of its number, or -1 of `any`.

    Raises:
        DataError: there is no such class.
    """
    if classes and name in names:
        return list(names).index(name)
    if name == ANY:
        return -1
    if name.isdecimal() and len(name) <= _DIGITS and int(name) < classes:
        return int(name)
    near = difflib.get_close_matches(name, names, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    if classes == 0:
        raise DataError(
            f"There is no class {shown(name)}: the model was trained without any, name none."
        )
    raise DataError(
        f"There is no class {shown(name)}: name one, or {ANY}, or give a number from 0 to "
        f"{classes - 1}.{meant}"
    )


def class_name(label: int, names: Sequence[str]) -> str:
    """The name of a label, or its number where names are not known; -1 is any class."""
    if label < 0:
        return "any"
    return names[label] if label < len(names) else str(label)


def file_name(label: int, names: Sequence[str]) -> str:
    """A class's name as a part of file names, other than that of any other class.

    >>> file_name(1, ["chair", "tench, Tinca tinca"])
    'tench-Tinca-tinca'
    >>> file_name(1, ["a/b", "a b"])
    '1-a-b'
    """
    known = 0 <= label < len(names)
    return _file_names(tuple(names))[label] if known else class_name(label, names)


@lru_cache(maxsize=4)
def _file_names(names: tuple[str, ...]) -> list[str]:
    parts = [file_part(name) for name in names]
    distinct = len({part.casefold() for part in parts if part}) == len(parts)
    return parts if distinct else [f"{label}-{part}" for label, part in enumerate(parts)]


def file_part(name: str) -> str:
    """The begin of a name with a dash for all that is neither letter, digit nor underscore.

    >>> file_part("../oak tree")
    'oak-tree'
    """
    part = re.sub(r"[^\w]+", "-", name).strip("-")
    return part.encode()[:_PART_BYTES].decode(errors="ignore")


def spread_labels(classes: int, rows: int) -> list[int]:
    """At most `rows` labels, evenly spread over the classes; -1 for all rows without classes.

    >>> spread_labels(10, 3)
    [0, 3, 6]
    """
    if classes == 0:
        return [-1] * rows
    count = min(classes, rows)
    return [classes * row // count for row in range(count)]


def scene_name(label: int, seed: int, names: Sequence[str]) -> str:
    """A drawn scene's name as a part of file names: CLASS-seedN, or seedN of any class."""
    return f"seed{seed}" if label < 0 else f"{file_name(label, names)}-seed{seed}"
