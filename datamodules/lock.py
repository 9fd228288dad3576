"""Exclusive locks of folders: one process at a time builds shards, or trains, in a folder."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from datamodules.errors import DataError

LOCK_NAME = ".lock"


class FolderLock:
    """The lock of a folder, which one process at a time can have.

    A POSIX record lock: the kernel frees it when its process ends, however that ends, and no child
    inherits it. A lock of `flock` belongs to the open file, which forked workers share, and they
    outlive a killed parent by seconds. Within one process it excludes nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self._file: IO[str] | None = None

    def take(self, *, wait: bool = False) -> bool:
        """Take the lock; False if another process has it and this one is not to wait.

        Raises:
            DataError: the disk has no file locks.
        """
        while True:
            file = self.path.open("w")
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except (BlockingIOError, PermissionError):  # POSIX allows either error
                file.close()
                return False
            except OSError as error:
                file.close()
                self.path.unlink(missing_ok=True)
                raise DataError(
                    f"{self.path.parent} cannot be locked against a second process "
                    f"({error.strerror}): write to a disk with file locks and move the folder "
                    "afterwards."
                ) from error
            if self._is_in_place(file):
                self._file = file
                return True
            file.close()

    def _is_in_place(self, file: IO[str]) -> bool:
        """Whether a locked file is still the one others open: its last holder removes it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back, if this process has it."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


@contextmanager
def building_alone(root: Path) -> Iterator[None]:
    """Hold the lock of an output folder, after waiting for the process that holds it.

    Raises DataError where the file system has no locks.
    """
    lock = FolderLock(root)
    if not lock.take():
        message = f"{root}: another process is building here, waiting for it to finish."
        print(message, file=sys.stderr, flush=True)
        lock.take(wait=True)
    try:
        yield
    finally:
        lock.release()
