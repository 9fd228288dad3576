"""Mutations of files: of any bytes, and of containers whose checksums are made right again.

A reader that checks a container's checksums never sees what is wrong inside unless they are right.
"""

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62)
_LEAVES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, 1e308, float("nan"),
    float("inf"), -float("inf"), "", "\0", "..", "../x", "/etc", "a/b", "\ud800", "x" * 5000, [],
    {}, [[]], [0] * 300, {"": None}, {"a": {"a": {"a": []}}},
)  # fmt: skip
_MAX_GROWTH = 1 << 16
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mutate_bytes(content: bytes, rng: Random) -> bytes:
    """Change a file in one to four places: bits, bytes, numbers, pieces cut out or repeated."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_BYTE_CHANGES)(data, rng)
    return bytes(data)


def _flip_bit(data: bytearray, rng: Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_byte(data: bytearray, rng: Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x20, 0x2D, 0x7F, 0x80, 0xFF))


def _set_number(data: bytearray, rng: Random) -> None:
    width = rng.choice((2, 4, 8))
    if len(data) >= width:
        place = rng.randrange(len(data) - width + 1)
        number = rng.choice(_NUMBERS) & ((1 << (8 * width)) - 1)
        data[place : place + width] = number.to_bytes(width, rng.choice(("big", "little")))


def _cut_off(data: bytearray, rng: Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _cut_out(data: bytearray, rng: Random) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.randrange(1, 64)]


def _repeat(data: bytearray, rng: Random) -> None:
    start = rng.randrange(len(data) + 1)
    piece = bytes(data[start : start + rng.randrange(1, 64)])
    times = rng.choice((1, 2, 30))
    data[start:start] = piece * min(times, _MAX_GROWTH // max(1, len(piece)))


def _insert(data: bytearray, rng: Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.randbytes(rng.randrange(1, 32))


def _overwrite(data: bytearray, rng: Random) -> None:
    start = rng.randrange(len(data) + 1)
    length = min(len(data) - start, rng.randrange(1, 64))
    data[start : start + length] = rng.randbytes(length)


_BYTE_CHANGES = (
    _flip_bit, _set_byte, _set_number, _cut_off, _cut_out, _repeat, _insert, _overwrite,
)  # fmt: skip


def mutate_png(content: bytes, rng: Random) -> bytes:
    """Change one chunk of a PNG, of its pixels perhaps before they are compressed; checksums are
    right afterwards."""
    chunks = _png_chunks(content)
    if not chunks:
        return mutate_bytes(content, rng)
    number = rng.randrange(len(chunks))
    kind, data = chunks[number]
    if kind == b"IDAT" and rng.random() < 0.7:
        data = _with_other_rows(data, rng)
    elif rng.random() < 0.2:
        kind = rng.choice((b"PLTE", b"tRNS", b"tEXt", b"zTXt", b"iCCP", b"IDAT", b"acTL", b"eXIf"))
    else:
        data = mutate_bytes(data, rng)
    chunks[number] = kind, data
    if rng.random() < 0.2:
        chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(chunks))
    if rng.random() < 0.1:
        del chunks[rng.randrange(len(chunks))]
    return _PNG_SIGNATURE + b"".join(_png_chunk(*chunk) for chunk in chunks)


def _with_other_rows(data: bytes, rng: Random) -> bytes:
    try:
        rows = zlib.decompress(data)
    except zlib.error:
        return mutate_bytes(data, rng)
    return zlib.compress(mutate_bytes(rows, rng), rng.choice((0, 6)))


def _png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks, position = [], len(_PNG_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        chunks.append((kind, content[position + 8 : position + 8 + length]))
        position += 12 + length
    return chunks


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def mutate_tar(content: bytes, rng: Random) -> bytes:
    """Change fields of one header of a tar, whose checksum is right afterwards; or any bytes."""
    data = bytearray(content)
    headers = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers or rng.random() < 0.3:
        return mutate_bytes(content, rng)
    at = rng.choice(headers)
    field, width = rng.choice(((0, 100), (100, 8), (124, 12), (124, 12), (156, 1), (157, 100)))
    values = (
        b"-1000", b"77777777777", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"", b"0", b"1",
        b"00000010000", b"x", b"L", b"K", b"S", b"2", b"5", b"6", b"g", b"a" * 100, b"../a.png",
        b"a.json", b"\xff.png",
    )  # fmt: skip
    data[at + field : at + field + width] = rng.choice(values)[:width].ljust(width, b"\0")
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def mutate_zip(content: bytes, rng: Random) -> bytes:
    """Change one member of a zip, whose checksum is right afterwards; or any bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    number = rng.randrange(len(members))
    name, data = members[number]
    members[number] = (name, mutate_bytes(data, rng)) if rng.random() < 0.9 else ("x", data)
    if rng.random() < 0.1:
        del members[rng.randrange(len(members))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((0, 8))) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def mutate_json(content: bytes, rng: Random) -> bytes:
    """Put another value at one place of a JSON text, remove or repeat one; or change any bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    if rng.random() < 0.05:
        return b"[" * 100_000 if rng.random() < 0.5 else b'{"a":' * 100_000
    return json.dumps(_elsewhere(json.loads(content), rng)).encode("utf-8", "surrogatepass")


def _elsewhere(value: Any, rng: Random) -> Any:
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    if not keys or rng.random() < 0.15:
        return rng.choice(_LEAVES)
    key, changed = rng.choice(keys), value.copy()
    chance = rng.random()
    if chance < 0.1:
        del changed[key]
    elif chance < 0.2 and isinstance(changed, dict):
        changed[rng.choice(("", "x", "a/b", "\0"))] = changed.pop(key)
    elif chance < 0.25 and isinstance(changed, list):
        changed.append(changed[key])
    else:
        changed[key] = _elsewhere(changed[key], rng)
    return changed


def tar_of(members: dict[str, bytes], tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
