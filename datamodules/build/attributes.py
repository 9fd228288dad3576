"""What a user knows of an image beside its pixels: camera, box size, time of day, semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.build.search import SourceImage
from datamodules.errors import DataError
from datamodules.json_values import shown
from datamodules.rays import PinholeCamera, pinhole_rays
from datamodules.sample_record import (
    MAX_RECORD_BYTES,
    parse_record,
    read_semantics,
    read_size,
    read_time_of_day,
)

SUFFIX = ".json"
CAMERA = "camera"
KNOWN = (CAMERA, "size", "time_of_day", "semantics")
_POSE_TOLERANCE = 1e-3  # of a rotation's products; poses are written with few digits
_GRID = 16  # rays along each side of an image that are tried against its box


@dataclass(frozen=True)
class ImageAttributes:
    """camera: of the whole photograph, None where unknown; record: the rest, as shards hold it."""

    camera: PinholeCamera | None
    record: Mapping[str, Any]


def read_attributes(path: Path) -> ImageAttributes:
    """Read the file of one image.

    Raises ValueError with the reason: it cannot be read, is no object, has a key that is none of
    `KNOWN`, a value of another form, or a camera that looks past a box of the given size.
    """
    try:
        content = path.read_bytes()[: MAX_RECORD_BYTES + 1]
    except OSError as error:
        raise ValueError(f"its attributes {path.name} cannot be read: {error.strerror}") from error
    if len(content) > MAX_RECORD_BYTES:
        raise ValueError(f"its attributes have more than {MAX_RECORD_BYTES:,} bytes")
    given = parse_record(content)
    for key in given:
        if key not in KNOWN:
            raise ValueError(f"its attributes have {shown(key)}, known are {', '.join(KNOWN)}")
    size = read_size(given)
    read_time_of_day(given)
    semantics = given.get("semantics")
    if semantics is not None:
        read_semantics(given, max(1, len(semantics)) if isinstance(semantics, list) else 1)
    camera = None if given.get(CAMERA) is None else _camera(given[CAMERA])
    if camera is not None and not np.isnan(size).any() and not sees_box(camera, size):
        raise ValueError("no ray of its camera meets its box, which is around the origin")
    return ImageAttributes(camera, {key: given[key] for key in given if key != CAMERA})


def _camera(value: Any) -> PinholeCamera:
    """A camera of `cam2world` and `intrinsics`, row by row."""
    if not isinstance(value, Mapping) or set(value) != {"cam2world", "intrinsics"}:
        raise ValueError(f"its camera is {shown(value)}, expected cam2world and intrinsics")
    pose = _matrix("cam2world", value["cam2world"], 4)
    intrinsics = _matrix("intrinsics", value["intrinsics"], 3)
    turn = pose[:3, :3]
    straight = np.abs(turn @ turn.T - np.eye(3)).max() < _POSE_TOLERANCE
    if not straight or np.linalg.det(turn) < 0 or pose[3].tolist() != [0, 0, 0, 1]:
        raise ValueError("its cam2world is no rotation and translation")
    if min(intrinsics[0, 0], intrinsics[1, 1]) <= 0 or intrinsics[2].tolist() != [0, 0, 1]:
        raise ValueError("its intrinsics have no focal length above 0, or another last row")
    return PinholeCamera(pose.astype(np.float32), intrinsics.astype(np.float32))


def _matrix(name: str, value: Any, side: int) -> np.ndarray:
    """A matrix of lists of rows, or of one list."""
    try:
        numbers = np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape not in ((side, side), (side * side,)) or not np.isfinite(numbers).all():
        raise ValueError(f"its {name} is {shown(value)}, expected {side} x {side} finite numbers")
    return numbers.reshape(side, side)


def sees_box(camera: PinholeCamera, size: np.ndarray) -> bool:
    """Whether a ray of a camera meets the box of length, width and height (3,) at the origin."""
    half = size[[0, 2, 1]].astype(np.float64) / 2
    rays = pinhole_rays(camera, _GRID)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (np.stack([-half, half])[:, None, None] - rays.origins) / rays.directions
    near, far = np.nanmin(ends, 0).max(-1), np.nanmax(ends, 0).min(-1)
    return bool(((far > near) & (far > 0)).any())


def have_cameras(images: Sequence[SourceImage], folder: str | None, looked_at: int = 20) -> bool:
    """Whether the attributes of images spread over the source tell cameras; then all must.

    Raises:
        DataError: none of them can be read.
    """
    if folder is None:
        return False
    found, reason = [], ""
    for image in images[:: max(1, len(images) // looked_at)]:
        try:
            found.append(read_attributes(image.sidecar(folder, SUFFIX)).camera is not None)
        except ValueError as error:
            reason = str(error)
    if not found:
        raise DataError(f"no attributes in {folder} can be read: {reason}.")
    return any(found)
