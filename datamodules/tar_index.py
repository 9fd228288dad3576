"""Index of the files and samples of a tar, from its headers without reading the data."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_BLOCK = 512


class Member(NamedTuple):
    """One regular file of a tar: its name with folders, where its content begins, its bytes."""

    name: str
    offset: int
    size: int


class _BrokenTarError(Exception):
    """The archive ends early or a header is not one."""


@dataclass(frozen=True)
class TarIndex:
    """The samples of one tar.

    keys        in stored order
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


def list_members(descriptor: int) -> tuple[list[Member], str | None]:
    """Every file of an open tar in stored order, and what is wrong after the last, else None."""
    members: list[Member] = []
    try:
        for member in _members(descriptor):
            members.append(member)  # noqa: PERF402, those before a break are kept
    except _BrokenTarError as error:
        return members, str(error)
    return members, None


def index_tar(descriptor: int) -> TarIndex:
    """Index an open tar; a broken one gives the samples before the break and the fault.

    The members of a sample share the name up to the first dot and follow one another.
    """
    keys: list[str] = []
    extensions: list[str] = []
    payload: list[tuple[int, int]] = []
    record: list[tuple[int, int]] = []
    members, fault = list_members(descriptor)
    for name, offset, size in members:
        key, _, extension = name.rpartition("/")[2].partition(".")
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


def _spans(spans: list[tuple[int, int]]) -> np.ndarray:
    return np.asarray(spans, np.int64).reshape(-1, 2)


def _members(descriptor: int) -> Iterator[Member]:
    """Regular files of a tar, in order; _BrokenTarError at the point where it is broken."""
    end = os.fstat(descriptor).st_size
    position = 0
    while True:
        header = os.pread(descriptor, _BLOCK, position)
        if len(header) < _BLOCK:
            raise _BrokenTarError(f"it is cut off after {end} bytes")
        if header[0] == 0 and not any(header):
            return
        kind = header[156:157]
        if kind not in b"0\0":
            yield from _members_of_any_tar(descriptor, position)
            return
        size = _size(header, position)
        if position + _BLOCK + size > end:
            raise _BrokenTarError(f"it is cut off after {end} bytes")
        name = header[: header.index(b"\0")] if b"\0" in header[:100] else header[:100]
        yield Member(name.decode("utf-8", "surrogateescape"), position + _BLOCK, size)
        position += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _size(header: bytes, position: int) -> int:
    """Size field of a ustar header whose checksum is right."""
    try:
        checksum = int(header[148:156].rstrip(b"\0 "), 8)
        size = int(header[124:136].rstrip(b"\0 "), 8)
    except ValueError:
        checksum = -1
    if checksum != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise _BrokenTarError(f"the header at byte {position} is corrupt")
    return size


def _members_of_any_tar(descriptor: int, start: int) -> Iterator[Member]:
    """As `_members`, by the standard library: for folders, long names and other extensions."""
    with open(os.dup(descriptor), "rb") as file:
        file.seek(0)
        try:
            with tarfile.open(fileobj=file) as tar:
                for info in tar:
                    if info.isfile() and info.offset >= start:
                        yield Member(info.name, info.offset_data, info.size)
        except (tarfile.TarError, EOFError) as error:
            # The lines after the first are those of every compression that was tried.
            reason = str(error).partition("\n")[0].rstrip(":")
            raise _BrokenTarError(f"the archive is corrupt: {reason}") from error
