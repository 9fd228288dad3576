"""Places of results, tried before the work that fills them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datamodules.errors import DataError
from datamodules.modalities import SPLITS


@contextmanager
def results_in(folder: str, option: str) -> Iterator[None]:
    """Make a folder and prove that files can be written there; if the block fails, take away what
    was made, as far as it is empty.

    Args:
        option: what names the folder on the command line, e.g. --out.

    Raises:
        DataError: the folder can't be made, or written to; nothing has changed.
    """
    path = _named(folder, option)
    if path.exists() and not path.is_dir():
        kind = "a file" if path.is_file() else "a device or a pipe"
        raise DataError(f"{option} is {folder}, which is {kind}: name a folder.")
    with _made(path, folder, option):
        yield


@contextmanager
def result_file(file: str, option: str) -> Iterator[None]:
    """`results_in` for a single file, of which the folder is made."""
    path = _named(file, option)
    if path.is_dir() or file.endswith(os.sep):
        raise DataError(f"{option} is {file}, which is a folder: name a file in it.")
    if path.exists() and not path.is_file():
        raise DataError(f"{option} is {file}, which is a device or a pipe: name a file.")
    with _made(path.parent, file, option):
        _prove_name(path, option)
        yield


def check_outside(out: str, read: Sequence[str | None]) -> None:
    """DataError if shards would be written into a folder that is read, by whatever links."""
    place = Path(os.path.realpath(out))
    for folder in filter(None, read):
        if "\0" in folder:
            continue  # no folder, as finding the images in it says
        home = Path(os.path.realpath(folder))
        above = any(home.is_relative_to(place / split) for split in SPLITS)
        if above or place.is_relative_to(home):
            raise DataError(
                f"--out {out} and {folder}, which is read, overlap: choose another --out."
            )


def _named(place: str, option: str) -> Path:
    if not place:
        raise DataError(f"{option} is empty: name where the results go.")
    if "\0" in place:
        raise DataError(f"{option} is {place!r}, no name of a file has a NUL.")
    if "://" in place:
        raise DataError(f"{option} is {place}, an address: name a place on a disk of this machine.")
    path = Path(place)
    try:
        path.exists()
    except OSError as error:
        raise _refusal(option, place, error) from error
    return path


@contextmanager
def _made(folder: Path, named: str, option: str) -> Iterator[None]:
    """Make a folder, prove it, and on failure remove those of its parents that were made too."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder, prefix=".wild3d-") as probe:
                probe.write(b"x")
        except OSError as error:
            raise _refusal(option, named, error) from error
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):  # not empty: an interrupted work continues there
                path.rmdir()
        raise


def _prove_name(path: Path, option: str) -> None:
    """DataError if no file of this name can be made; one that is there stays as it is."""
    if path.exists():
        return
    probe = path.with_name(f"{path.name}.{os.getpid()}.partial")  # as long as `replacing` needs
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _refusal(option, str(path), error) from error


def _refusal(option: str, named: str, error: OSError) -> DataError:
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, FileExistsError):  # of a folder that is to be made
        reason = "a part of it is no folder"
    return DataError(f"{option} is {named}, which can't be written to ({reason}): name another.")
