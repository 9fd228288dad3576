"""Index of the files and samples of a tar."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from datamodules.tar_headers import BrokenTarError, Member, walk_tar

_ILLEGIBLE = re.compile("[\0-\x1f\x7f-\x9f\udc80-\udcff]")  # the last are bytes that are no UTF-8


@dataclass(frozen=True)
class TarIndex:
    """The samples of one tar.

    keys        in stored order; bytes that are no UTF-8, or control something, as ``%XX``
    extensions  of each sample's payload, e.g. "jpg" or "depth.png"
    payload     (n, 2) int64 offset and size of the payload
    record      (n, 2) int64 offset and size of the ``.json`` member, size 0 if there is none
    fault       what is wrong with the archive after the last sample listed, None if nothing
    """

    keys: tuple[str, ...]
    extensions: tuple[str, ...]
    payload: np.ndarray
    record: np.ndarray
    fault: str | None


NO_SAMPLES = TarIndex((), (), np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64), None)


def list_members(descriptor: int) -> tuple[list[Member], str | None]:
    """Every file of an open tar in stored order, and what is wrong after the last, else None."""
    members: list[Member] = []
    try:
        for member in walk_tar(descriptor):
            members.append(member)  # noqa: PERF402, those before a break are kept
    except BrokenTarError as error:
        return members, str(error)
    except OSError as error:  # of the disk
        return members, f"it cannot be read, {error.strerror}"
    return members, None


def index_tar(descriptor: int) -> TarIndex:
    """Index an open tar; a broken one gives the samples before the break and the fault.

    The members of a sample share the name up to the first dot and follow one another. Hidden files,
    which some systems add, are passed over.
    """
    keys: list[str] = []
    extensions: list[str] = []
    payload: list[tuple[int, int]] = []
    record: list[tuple[int, int]] = []
    members, fault = list_members(descriptor)
    for name, offset, size in members:
        key, _, extension = name.rpartition("/")[2].partition(".")
        if not key:
            continue
        key = _ILLEGIBLE.sub(_escaped, key)
        if not keys or keys[-1] != key:
            keys.append(key)
            extensions.append("")
            payload.append((0, 0))
            record.append((0, 0))
        if extension == "json":
            record[-1] = (offset, size)
        else:
            extensions[-1] = extension
            payload[-1] = (offset, size)
    return TarIndex(tuple(keys), tuple(extensions), _spans(payload), _spans(record), fault)


def _escaped(character: re.Match[str]) -> str:
    code = character[0].encode("utf-8", "surrogateescape")
    return "".join(f"%{byte:02X}" for byte in code)


def _spans(spans: list[tuple[int, int]]) -> np.ndarray:
    return np.asarray(spans, np.int64).reshape(-1, 2)
