"""Weights in files that torch wrote: every byte that has a checksum is checked, no code is run."""

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from models.stored import told


def read_weights(path: str | Path) -> Mapping[str, Tensor]:
    """Weights by name, on the CPU, of a file that holds nothing else, as libraries publish them.

    Files of before torch 1.6 have no checksums.

    Raises:
        OSError: it can't be opened.
        ValueError: what is wrong with it.
    """
    path = Path(path)
    size = regular_size(path)
    with path.open("rb") as file:
        if zipfile.is_zipfile(file) or size == 0:
            check_records(file, size)
    weights = as_weights(load_stored(path))
    for name, value in weights.items():
        if not value.isfinite().all():
            raise ValueError(f"its weight {name!r} is not finite")
    return weights


def regular_size(path: Path) -> int:
    """Bytes of a regular file; ValueError if it is a folder or a pipe, OSError if it is not
    there."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    return found.st_size


def load_stored(path: Path, mmap: bool = False) -> object:
    """What torch stored in a file, on the CPU; ValueError if that can't be read without code.

    mmap: leave tensors in the file, which must be a zip file then.
    """
    try:
        content: object = torch.load(path, map_location="cpu", mmap=mmap, weights_only=True)
    except Exception as error:  # of a file, torch's unpickler raises whatever its bytes suggest
        raise ValueError("torch can't read it") from error
    return content


def check_records(file: IO[bytes], size: int) -> None:
    """Compare the checksums that torch stores with every record, which it does not compare
    itself. A changed bit elsewhere breaks the directory of the records, or is in padding.

    Raises:
        ValueError: they differ, or the file is none of torch's.
    """
    if size == 0:
        raise ValueError("it is empty")
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            # torch packs nothing, so neither does a record unpack to more than the file.
            packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
            strange = packed or sum(record.file_size for record in records) > size
            broken = None if strange else archive.testzip()
    except Exception as error:  # whatever the zip module makes of such bytes, or the disk
        raise ValueError("it is cut short, damaged, or not written by torch") from error
    if strange:
        raise ValueError("it is not written by torch")
    if broken is not None:
        raise ValueError(f"it is damaged, the checksum of its record {broken!r} is wrong")


def as_weights(state: object) -> Mapping[str, Tensor]:
    """A mapping of names to arrays of real numbers; ValueError if it is another thing."""
    if not isinstance(state, dict):
        raise ValueError(f"its weights are {told(state)}")
    for name, value in state.items():
        if not isinstance(name, str):
            raise ValueError(f"one of its weights is called {told(name)}, which is no text")
        if not isinstance(value, Tensor):
            raise ValueError(f"its weight {name!r} is {told(value)}, not a tensor")
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or value.is_quantized or value.is_complex():
            raise ValueError(f"its weight {name!r} is not an array of real numbers")
    return state
