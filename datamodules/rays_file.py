"""Files `<key>.rays.npz`: the pinhole camera of an image, or the rays of its pixels as a grid.

docs/shards.md describes them. Headers are checked before memory is taken for what they announce.
"""

from __future__ import annotations

import io
import struct
from zipfile import ZipFile

import numpy as np

from datamodules.errors import first_line
from datamodules.numpy_bytes import check_compression, read_npy
from datamodules.rays import PinholeCamera, RayGrid

VERSION_CAMERA = 1
VERSION_GRID = 2
LARGEST = 1e18
"""Of numbers of cameras and origins: their products and squares stay finite."""
UNIT_TOLERANCE = 1e-3  # by which the length of a stored direction may differ from 1


def read_rays(content: bytes, size: tuple[int, int]) -> PinholeCamera | RayGrid:
    """Decode the rays file of an image of `size` (H, W); ValueError with the reason if unusable."""
    try:
        found = _stored_camera(content) or _unpacked(content, size)
    except Exception as error:  # a damaged archive raises whatever zipfile and zlib run into
        raise ValueError(f"its rays cannot be read ({first_line(error)})") from error
    if isinstance(found, PinholeCamera):
        _check_camera(found)
    return found


def _check_camera(camera: PinholeCamera) -> None:
    # As lists, which for so few numbers are quicker than arrays.
    pose, matrix = camera.cam2world.tolist(), camera.intrinsics.tolist()
    if not all(abs(number) <= LARGEST for row in (*pose, *matrix) for number in row):
        raise ValueError(f"its camera has numbers that are not finite, or beyond {LARGEST:g}")
    if not any(row[2] for row in pose[:3]):
        raise ValueError("its camera looks in no direction")
    if not (matrix[0][0] and matrix[1][1]):
        raise ValueError("its camera has a focal length of 0")


def _unpacked(content: bytes, size: tuple[int, int]) -> PinholeCamera | RayGrid:
    with ZipFile(io.BytesIO(content)) as archive:
        return _parse(archive, size)


def _parse(archive: ZipFile, size: tuple[int, int]) -> PinholeCamera | RayGrid:
    names = archive.namelist()
    version = _read_array(archive, "version", 1).item() if "version.npy" in names else 1
    if version == VERSION_CAMERA:
        pose, matrix = _read_array(archive, "cam2world", 16), _read_array(archive, "intrinsics", 9)
        with np.errstate(over="ignore"):
            return PinholeCamera(
                pose.astype(np.float32).reshape(4, 4), matrix.astype(np.float32).reshape(3, 3)
            )
    if version != VERSION_GRID:
        raise ValueError(
            f"they have version {version}, this release reads {VERSION_CAMERA}, a camera, and "
            f"{VERSION_GRID}, rays of the pixels"
        )
    height, width = size
    stored = _read_array(archive, "size", 2).tolist()
    if stored != [height, width]:
        raise ValueError(f"their size is {stored}, that of the image [{height}, {width}]")
    origins = _read_nodes(archive, "origins", size)
    directions = _read_nodes(archive, "directions", size)
    lengths = np.sqrt((directions * directions).sum(axis=-1))
    if (np.abs(lengths - 1) > UNIT_TOLERANCE).any():
        raise ValueError(f"their directions are {lengths.min():g} to {lengths.max():g} long, not 1")
    return RayGrid(origins, directions, size)


def _read_nodes(archive: ZipFile, name: str, size: tuple[int, int]) -> np.ndarray:
    """Finite vectors (h, w, 3) float32 at 1 to H x W nodes."""
    height, width = size
    nodes = _read_array(archive, name, 3 * height * width)
    if nodes.dtype != np.float32 or nodes.ndim != 3 or nodes.shape[2] != 3:
        raise ValueError(f"their {name} are {nodes.shape} {nodes.dtype}, not (h, w, 3) float32")
    if not (0 < nodes.shape[0] <= height and 0 < nodes.shape[1] <= width):
        raise ValueError(
            f"their {name} have {nodes.shape[0]} x {nodes.shape[1]} nodes, expected 1 x 1 to "
            f"{height} x {width}"
        )
    if not (np.abs(nodes) <= LARGEST).all():
        raise ValueError(f"their {name} are not all finite, or beyond {LARGEST:g}")
    return nodes


def _read_array(archive: ZipFile, name: str, most: int) -> np.ndarray:
    """A member of at most `most` numbers; ValueError before more memory is taken than they need."""
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"they have no {name}")
    check_compression(archive.getinfo(f"{name}.npy"), f"their {name}")
    with archive.open(f"{name}.npy") as file:
        return read_npy(file, f"their {name}", most, kinds="fiu")


def _stored_camera(content: bytes) -> PinholeCamera | None:
    """The arrays as `encode_camera` lays them out, far faster than by `ZipFile`; else None."""
    arrays = []
    position = 0
    for name, shape in ((b"cam2world.npy", (4, 4)), (b"intrinsics.npy", (3, 3))):
        start = content.find(b"\x93NUMPY", position)
        if not 0 <= start <= len(content) - 10 or content.find(name, position, start) < 0:
            return None
        header_end = start + 10 + struct.unpack_from("<H", content, start + 8)[0]
        position = header_end + 4 * shape[0] * shape[1]
        header = f"'descr': '<f4', 'fortran_order': False, 'shape': {shape}".encode()
        if header not in content[start:header_end] or position > len(content):
            return None
        arrays.append(np.frombuffer(content[header_end:position], "<f4").reshape(shape))
    if b"version.npy" in content[position:]:
        return None
    return PinholeCamera(arrays[0], arrays[1])
