"""Keep a second process from training into a run's folder."""

import fcntl
from pathlib import Path
from typing import IO

LOCK_NAME = ".lock"


class RunLock:
    """The lock of a run's folder; the kernel frees that of a killed process."""

    def __init__(self) -> None:
        self.file: IO[str] | None = None

    def take(self, folder: Path) -> bool:
        """Take it without waiting; False if another process has it. Disks without file locks give
        it to everyone."""
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_NAME).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        except OSError:
            pass
        self.file = file
        return True

    def release(self) -> None:
        """Give it back, if this process has it."""
        if self.file is not None:
            Path(self.file.name).unlink(missing_ok=True)
            self.file.close()
            self.file = None
