"""Files of NumPy that users name."""

from pathlib import Path
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from datamodules.errors import DataError

ONLY = ""
"""Name of the array in an .npy, which has none."""


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
        with path.open("rb") as file:
            found = np.load(file)
            return {ONLY: found} if isinstance(found, np.ndarray) else dict(found)
    except (OSError, ValueError, EOFError, BadZipFile, ZlibError) as error:
        kind = path.suffix or "an array"
        raise DataError(f"{path} can't be read as {kind} ({error}).") from error
