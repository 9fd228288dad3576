"""Keep two processes, on this machine or another, from building into one folder at once."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.errors import DataError

LOCK_NAME = ".lock"


@contextmanager
def building_alone(root: Path) -> Iterator[None]:
    """Hold the lock of an output folder, after waiting for the process that holds it.

    The kernel frees the lock of a killed process. The lock file is removed when the block ends
    without error: whoever takes the lock after that must find the build finished.

    Raises DataError where the file system has no locks.
    """
    path = root / LOCK_NAME
    with path.open("w") as file:
        _lock(file.fileno(), root)
        yield
        path.unlink(missing_ok=True)


def _lock(descriptor: int, root: Path) -> None:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"{root}: another process is building here, waiting for it to finish.",
                file=sys.stderr,
                flush=True,
            )
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise DataError(
            f"{root} cannot be locked against a second build ({error.strerror}): write to a disk "
            "with file locks and move the folder afterwards."
        ) from error
