"""Label files of other tools as maps of numbers: PNG, TIFF and PFM, NPY, NPZ and EXR."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datamodules.errors import DataError, first_line
from datamodules.numpy_bytes import read_arrays
from datamodules.picture import PictureError, open_picture, stored_integers

SUFFIXES = (".png", ".tif", ".tiff", ".pfm", ".pgm", ".npy", ".npz", ".exr")
"""Of files that are taken for maps in a folder, in lower case."""

CHANNELS = ("Z", "Y", "depth.Z", "R")
"""Of an EXR file that may hold a map, the first that is there is taken."""


def read_map(path: Path) -> np.ndarray:
    """Numbers (H, W) of a file, as they are stored: integers, or half, single or double floats.

    Raises:
        PictureError: it can't be read, or is no map of one number a pixel; the message is the
            reason.
    """
    match path.suffix.lower():
        case ".npy" | ".npz":
            found = _array(path)
        case ".exr":
            found = _exr(path)
        case _:
            found = _picture(path)
    while found.ndim > 2 and 1 in (found.shape[0], found.shape[-1]):
        found = found[0] if found.shape[0] == 1 else found[..., 0]
    if found.ndim != 2 or found.size == 0:
        raise PictureError(f"it has shape {found.shape}, expected one number a pixel")
    if found.dtype.kind not in "iufb":
        raise PictureError(f"it holds {found.dtype}, expected numbers")
    return found


def _array(path: Path) -> np.ndarray:
    try:
        found = read_arrays(path)
    except (OSError, ValueError) as error:
        raise PictureError(f"it can't be read as {path.suffix} ({first_line(error)})") from error
    if isinstance(found, np.ndarray):
        return found
    if len(found) != 1:
        raise PictureError(f"it holds {len(found)} arrays ({', '.join(found)}), expected one")
    return next(iter(found.values()))


def _exr(path: Path) -> np.ndarray:
    try:
        import OpenEXR
    except ImportError as error:
        raise DataError(
            "EXR files need the package OpenEXR, which is not installed: "
            "pip install 'wild3d[labels]'."
        ) from error
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except Exception as error:  # whatever the package makes of such bytes
        raise PictureError(f"it can't be read as EXR ({error})") from error
    named = [name for name in channels if name.endswith((".Z", "epth.V"))]  # of a layer
    name = next((name for name in (*CHANNELS, *named) if name in channels), None)
    if name is None and len(channels) == 1:
        name = next(iter(channels))
    if name is None:
        raise PictureError(f"it has the channels {', '.join(channels)}, none of a known map")
    return np.asarray(channels[name])


def _picture(path: Path) -> np.ndarray:
    with open_picture(path) as file:
        if file.mode not in ("1", "L", "P", "F") and not file.mode.startswith("I"):
            raise PictureError(f"it has mode {file.mode}, expected one channel")
        file.load()
        return np.asarray(file) if file.mode == "F" else stored_integers(file)
