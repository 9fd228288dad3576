"""Arrays from npy and npz files whose headers are checked before memory is taken."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from datamodules.errors import first_line
from datamodules.json_values import shown

_NPY, _NPZ = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")
_NUMBERS, _TEXT = "biufc", "SU"
_LARGEST_NUMBER = 16  # bytes
_UNPACKED_SMALL, _UNPACKED_RATIO = 2**28, 16


def read_npy(file: IO[bytes], what: str, most: int, kinds: str = _NUMBERS + _TEXT) -> np.ndarray:
    """The array in an open npy of version 1.0, in native byte order.

    what   opens errors: its tokens
    most   elements that it may have
    kinds  letters of `np.dtype.kind` that it may have; objects, which are pickles, never

    Raises ValueError with the reason, before more memory is taken than `most` numbers need.
    """
    try:
        version = np.lib.format.read_magic(file)
        # Headers of later versions could announce gigabytes; only those of many columns need them.
        header = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else None
    except Exception as error:  # a damaged header raises whatever its parsers run into
        raise ValueError(f"{what} cannot be read ({first_line(error)})") from error
    if header is None:
        raise ValueError(f"{what} are no npy of version 1.0")
    shape, by_columns, dtype = header
    numbers, size = math.prod(shape), math.prod(shape) * dtype.itemsize
    allowed = all(side >= 0 for side in shape) and numbers <= most
    if not allowed or size > _LARGEST_NUMBER * most or dtype.kind not in kinds:
        raise ValueError(f"{what} are {shown(shape)} {dtype}, at most {most} numbers expected")
    # One byte more, so that a longer file is noticed and the checksum of a zip is tested.
    content = bytearray(file.read(size + 1))
    if len(content) != size:
        raise ValueError(f"{what} have {len(content)} bytes, {shape} {dtype} announced")
    array = np.frombuffer(content, dtype) if size else np.empty(numbers, dtype)
    array = array.reshape(shape, order="F" if by_columns else "C")
    array = array.astype(dtype.newbyteorder("="), copy=False)
    if (
        dtype.kind == "U"
        and np.frombuffer(array.tobytes(), np.uint32).max(initial=0) > sys.maxunicode
    ):
        raise ValueError(f"{what} hold what is no character")
    return array


def check_compression(member: ZipInfo, what: str) -> None:
    """ValueError if a member of a zip unpacks otherwise than by deflate, whose memory is small."""
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"{what} are compressed otherwise than by deflate")


def read_arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an npy, or those of an npz by name.

    A packed file may be unpacked to 16 times its bytes, or to 256 MiB.

    Raises ValueError with the reason, or OSError.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_NPY))
        file.seek(0)
        if start == _NPY:
            return read_npy(file, "its numbers", size)
        if not start.startswith(_NPZ):
            raise ValueError("it begins like neither npy nor npz")
        try:
            with ZipFile(file) as archive:
                return _read_members(archive, max(_UNPACKED_SMALL, _UNPACKED_RATIO * size))
        except (OSError, ValueError):
            raise
        except Exception as error:  # a damaged archive raises whatever zipfile and zlib run into
            raise ValueError(first_line(error)) from error


def _read_members(archive: ZipFile, most_bytes: int) -> dict[str, np.ndarray]:
    members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    unpacked = sum(info.file_size for info in members)
    if unpacked > most_bytes:
        raise ValueError(f"it would unpack to {unpacked} bytes, more than {most_bytes}")
    arrays = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        check_compression(member, f"its {name}")
        with archive.open(member) as file:
            arrays[name] = read_npy(file, f"its {name}", member.file_size)
    return arrays
