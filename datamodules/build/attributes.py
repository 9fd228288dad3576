"""What a user knows of an image beside its pixels: camera, box size, time of day, semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.build.search import SourceImage
from datamodules.errors import DataError
from datamodules.json_values import shown
from datamodules.picture import is_hidden
from datamodules.rays import ImageRays, PinholeCamera, pinhole_rays
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
_FEW = 16  # rays along each side of an image that are tried first


@dataclass(frozen=True)
class ImageAttributes:
    """camera: of the whole photograph, None where unknown; record: the rest, as shards hold it."""

    camera: PinholeCamera | None
    record: Mapping[str, Any]


def read_attributes(path: Path) -> ImageAttributes:
    """Read the file of one image.

    Raises ValueError with the reason: it cannot be read, is no object, has a key that is none of
    `KNOWN`, or a value of another form.
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
    read_size(given)
    read_time_of_day(given)
    semantics = given.get("semantics")
    if semantics is not None:
        read_semantics(given, max(1, len(semantics)) if isinstance(semantics, list) else 1)
    camera = None if given.get(CAMERA) is None else _camera(given[CAMERA])
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


def check_box_seen(camera: PinholeCamera, record: Mapping[str, Any], side: int) -> None:
    """Raise ValueError if none of the side x side rays of a camera meets the box around the origin
    whose size a record tells, if it does."""
    size = read_size(record)
    if np.isnan(size).any():
        return
    # Few rays find most boxes; all are for small ones.
    if not any(_meet(pinhole_rays(camera, count), size) for count in (min(_FEW, side), side)):
        raise ValueError(
            f"no ray of its camera meets its box of size {size.tolist()}, which is around the "
            "origin"
        )


def _meet(rays: ImageRays, size: np.ndarray) -> bool:
    """Whether a ray meets the box of length, width and height (3,)."""
    half = size[[0, 2, 1]].astype(np.float64) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (np.stack([-half, half])[:, None, None] - rays.origins) / rays.directions
    near, far = np.nanmin(ends, 0).max(-1), np.nanmax(ends, 0).min(-1)
    return bool(((far > near) & (far > 0)).any())


def have_cameras(images: Sequence[SourceImage], folder: str | None, looked_at: int = 20) -> bool:
    """Whether the attributes of some images tell cameras; then those of all must.

    looked_at: how many are read at most, spread over the source where all images have some.

    Raises:
        DataError: there are none, or none of those looked at can be read.
    """
    if folder is None:
        return False
    reasons = []
    found: list[bool] = []
    for image in chain(images[:: max(1, len(images) // looked_at)], images):
        path = image.sidecar(folder, SUFFIX)
        if not path.exists():
            continue
        try:
            found.append(read_attributes(path).camera is not None)
        except ValueError as error:
            reasons.append(f"{path}: {error}")
        if len(found) + len(reasons) == looked_at:
            break
    if not found:
        reason = reasons[0] if reasons else f"there is no {images[0].name}{SUFFIX}, nor any other"
        raise DataError(f"no attributes in {folder} can be read: {reason}.")
    return any(found)


def count_unmatched(images: Sequence[SourceImage], folder: str) -> int:
    """Attributes in a folder that are of no image."""
    names = {image.name for image in images}
    files = (path.relative_to(folder) for path in Path(folder).rglob(f"*{SUFFIX}"))
    return sum(
        str(path.with_suffix("")) not in names
        for path in files
        if not any(map(is_hidden, path.parts))
    )
