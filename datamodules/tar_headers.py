"""The files of a tar from its headers: ustar, GNU and pax, of which no byte is trusted.

No content is read, extended headers are bounded, and every header moves on, so that walking an
archive takes time and memory by its own size.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

_BLOCK = 512
_MAX_EXTENSION = 2**20  # bytes of a long name or of pax records; real ones have hundreds

_REGULAR = b"\x0007"  # old, usual, contiguous
_WITHOUT_CONTENT = b"123456"  # links, devices, folders, FIFOs: their size counts no bytes
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"xX", b"g", b"L", b"K"
_SPARSE, _CONTINUED = b"S", b"M"

_OCTAL = re.compile(rb" *([0-7]*) *(?:\0.*)?", re.DOTALL)
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,7}) ([^=\n]+)=")
_PAX_SIZE = re.compile(rb"[0-9]{1,19}")
_PAX_PATH, _PAX_BYTES, _PAX_SPARSE = b"path", b"size", b"GNU.sparse"
_PAX_KEYWORDS = (_PAX_PATH, _PAX_BYTES, _PAX_SPARSE)  # others are forgotten, millions fit in a tar

_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"\x04\x22\x4d\x18": ("lz4", "unlz4"),
    b"PK\x03\x04": ("zip", "unzip"),
    b"\x1f\x9d": ("compress", "uncompress"),
    b"\x5d\0\0": ("lzma", "unlzma"),
    b"LZIP": ("lzip", "lzip -d"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", "7z x"),
    b"Rar!\x1a\x07": ("rar", "unrar x"),
}


class BrokenTarError(Exception):
    """What is wrong with an archive after the files that came before."""


class Member(NamedTuple):
    """One regular file of a tar: its name with folders, where its content begins, its bytes."""

    name: str
    offset: int
    size: int


class _Header(NamedTuple):
    kind: bytes
    name: bytes
    size: int


def walk_tar(descriptor: int) -> Iterator[Member]:
    """Regular files of an open tar in order; folders, links and devices are passed over.

    Raises BrokenTarError with the offset where the archive ends early, is compressed or has a
    header that is none, and for a file that is sparse, a part, or larger than the archive.
    """
    end = os.fstat(descriptor).st_size
    position = 0
    shared: dict[bytes, bytes] = {}
    own: dict[bytes, bytes] = {}
    while (header := _read_header(descriptor, position)) is not None:
        extended = shared | own
        kind, size = header.kind, header.size
        if kind in _REGULAR and _PAX_BYTES in extended:
            size = _pax_size(extended[_PAX_BYTES], position)
        content = position + _BLOCK
        if content + size > end:
            raise BrokenTarError(f"it is cut off after {end} bytes")
        if kind == _LONG_NAME:
            own[_PAX_PATH] = _extension(descriptor, content, size).partition(b"\0")[0]
        elif kind in _PAX:
            own |= _pax_records(_extension(descriptor, content, size), position)
        elif kind == _PAX_GLOBAL:
            shared |= _pax_records(_extension(descriptor, content, size), position)
            if _PAX_PATH in shared:  # a long one would cost every file as much memory
                raise BrokenTarError(f"the header at byte {position} gives all files one name")
        elif kind != _LONG_LINK:
            name = extended.get(_PAX_PATH, header.name)
            _check_whole(kind, extended, position)
            if kind in _REGULAR and not name.endswith(b"/"):  # old tars mark folders so
                yield Member(name.decode("utf-8", "surrogateescape"), content, size)
            own = {}
        position = content + -(-size // _BLOCK) * _BLOCK


def _read_header(descriptor: int, position: int) -> _Header | None:
    """The header at a position whose checksum is right, None for the mark of the end."""
    block = os.pread(descriptor, _BLOCK, position)
    if len(block) == _BLOCK and block[0] == 0 and not any(block):
        return None
    checksum = _number(block[148:156])
    rest = block[:148] + 8 * b" " + block[156:]
    # The sum of signed bytes is what some old programs wrote.
    sums = (sum(rest), sum(rest) - 256 * sum(byte > 127 for byte in rest))
    if len(block) < _BLOCK or checksum not in sums:
        if position == 0:
            _check_uncompressed(block)
        if len(block) < _BLOCK:
            raise BrokenTarError(f"it is cut off after {position + len(block)} bytes")
        raise BrokenTarError(f"the header at byte {position} is corrupt")
    kind = block[156:157]
    size = 0 if kind in _WITHOUT_CONTENT else _number(block[124:136])
    if size is None:
        raise BrokenTarError(f"the header at byte {position} is corrupt: it has no valid size")
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return _Header(kind, prefix + b"/" + name if prefix else name, size)


def _number(field: bytes) -> int | None:
    """A number of a header, octal or by GNU's base 256; None if it is negative or none."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    octal = _OCTAL.fullmatch(field)
    return None if octal is None else int(octal[1] or b"0", 8)


def _extension(descriptor: int, offset: int, size: int) -> bytes:
    if size > _MAX_EXTENSION:
        raise BrokenTarError(
            f"the extended header at byte {offset - _BLOCK} has {size} bytes, more than "
            f"{_MAX_EXTENSION}"
        )
    return os.pread(descriptor, size, offset)


def _pax_records(content: bytes, position: int) -> dict[bytes, bytes]:
    """Records `length keyword=value` of the extended header at a position, those that are used."""
    records = {}
    start = 0
    while start < len(content) and content[start]:
        found = _PAX_RECORD.match(content, start)
        stop = start + int(found[1]) if found else 0
        if found is None or not found.end() < stop <= len(content):
            raise BrokenTarError(f"the extended header at byte {position} is corrupt")
        keyword = _PAX_SPARSE if found[2].startswith(_PAX_SPARSE + b".") else found[2]
        if keyword in _PAX_KEYWORDS:
            records[keyword] = content[found.end() : stop - 1]
        start = stop
    return records


def _pax_size(value: bytes, position: int) -> int:
    if not _PAX_SIZE.fullmatch(value):
        raise BrokenTarError(f"the extended header before byte {position} has no valid size")
    return int(value)


def _check_whole(kind: bytes, extended: dict[bytes, bytes], position: int) -> None:
    """BrokenTarError for a file whose content does not lie in the archive as it is."""
    if kind == _SPARSE or _PAX_SPARSE in extended:
        raise BrokenTarError(f"the file at byte {position} is sparse: pack it without --sparse")
    if kind == _CONTINUED:
        raise BrokenTarError(f"the file at byte {position} continues one of another archive")


def _check_uncompressed(start: bytes) -> None:
    for magic, (program, remedy) in _COMPRESSED.items():
        if start.startswith(magic):
            raise BrokenTarError(f"it is compressed by {program}: unpack it with `{remedy}`")
