"""Atomic writing of files, and reading of NumPy files that users name."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DataError, first_line
from datamodules.numpy_bytes import read_arrays

ONLY = ""
"""Name of the array in an .npy, which has none."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`, which takes its place if the block ends without error.

    Only a killed process leaves it behind, as ``<name>.<process>.partial``. What the system refuses
    meanwhile names `path`: the write to a full disk does not say itself where it happened.
    """
    # Of this process alone: two that write the same file must not write into each other's.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # a path that can't be written can't be looked up either
            partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file, making its folder, or leave what was there; text becomes UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write indented JSON, making the folder; the file appears whole or not."""
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def remove_partials(folder: Path, beginning: str = "") -> None:
    """Remove what killed processes left of `replacing` in a folder, which need not exist, of files
    whose names begin so."""
    for partial in folder.glob(f"{beginning}*.[0-9]*.partial"):
        partial.unlink(missing_ok=True)


@contextmanager
def telling_full_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk or quota into a DataError that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"the disk is full while writing to {folder}: free some space and run the same "
            "command again, finished shards are kept."
        ) from error


def load_arrays(path: str | Path, option: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name, or that of an .npy as `ONLY`.

    Raises:
        FileNotFoundError: there is no such file; `option` is where it was named.
        DataError: NumPy can't read it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: check {option}.")
    try:
        found = read_arrays(path)
    except (OSError, ValueError) as error:
        kind = path.suffix or "an array"
        raise DataError(f"{path} can't be read as {kind} ({first_line(error)}).") from error
    return {ONLY: found} if isinstance(found, np.ndarray) else found


def open_regular(path: str | Path) -> int:
    """Descriptor of a file to read, the caller closes it.

    Raises OSError when it cannot be opened, and DataError for what is no file: a folder, or a FIFO
    or device, which could be waited for without end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO"}
    raise DataError(f"{path} is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file.")
