"""Fields of the json record of an image: label, size, time of day, semantic features, unit of
depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from datamodules.json_values import parse_json, shown
from datamodules.modalities import TIME_UNKNOWN, TIMES_OF_DAY, UNLABELLED

MAX_RECORD_BYTES = 2**22
_MAX_LABEL = 2**63 - 1
_SIZE_UNKNOWN = np.full(3, np.nan, np.float32)


def parse_record(content: bytes | bytearray) -> Mapping[str, Any]:
    """The record in the bytes of a ``.json``, empty if there are none; ValueError if it is none."""
    record = parse_json(content) if content else {}
    if not isinstance(record, dict):
        raise ValueError(f"it is {shown(record)}, expected an object")
    return record


def read_label(record: Mapping[str, Any], classes: int = 0) -> int:
    """The label, -1 if there is none; ValueError when it is no integer, or that of no class.

    classes  how many there are, 0 where that is not known
    """
    label = record.get("label", UNLABELLED)
    if not isinstance(label, int) or isinstance(label, bool):
        raise ValueError(f"its label is {shown(label)}, expected an integer")
    if not UNLABELLED <= label <= _MAX_LABEL:
        raise ValueError(f"its label is {shown(label)}, expected one from {UNLABELLED} on")
    if classes and label >= classes:
        raise ValueError(f"its label is {label}, the manifest has {classes} classes from 0 on")
    return label


def read_size(record: Mapping[str, Any]) -> np.ndarray:
    """Length, width, height of the box (3,) float32, NaN if unknown.

    Raises ValueError unless it is three finite numbers above 0.
    """
    size = record.get("size")
    if size is None:
        return _SIZE_UNKNOWN
    numbers = _numbers(size, 3)
    if numbers is None or not (numbers > 0).all():
        raise ValueError(
            f"its size is {shown(size)}, expected [length, width, height], all above 0"
        )
    return numbers


def read_time_of_day(record: Mapping[str, Any]) -> int:
    """Index of the time of day, -1 if unknown; ValueError when it is none of them."""
    time = record.get("time_of_day")
    if time is None:
        return TIME_UNKNOWN
    if time not in TIMES_OF_DAY:
        times = ", ".join(TIMES_OF_DAY)
        raise ValueError(f"its time_of_day is {shown(time)}, expected one of {times}")
    return TIMES_OF_DAY.index(time)


def read_semantics(record: Mapping[str, Any], width: int) -> np.ndarray | None:
    """Semantic feature vector (width,) float32, NaN if there is none; None if width is 0.

    Raises ValueError when it is no list of `width` finite numbers.
    """
    if width == 0:
        return None
    values = record.get("semantics")
    if values is None:
        return np.full(width, np.nan, np.float32)
    if isinstance(values, list) and len(values) != width:
        raise ValueError(
            f"its semantics has {len(values)} numbers, the datamodule's semantics is {width}"
        )
    numbers = _numbers(values, width)
    if numbers is None:
        raise ValueError(f"its semantics is no list of {width} finite numbers")
    return numbers


def read_disparity_unit(record: Mapping[str, Any]) -> float:
    """The 1/m that one step of disparity is, NaN if unknown, as it is of pseudo-depth.

    Raises ValueError unless it is a finite number above 0.
    """
    unit = record.get("disparity_unit")
    if unit is None:
        return math.nan
    numbers = _numbers([unit], 1)
    if numbers is None or numbers[0] <= 0:
        raise ValueError(f"its disparity_unit is {shown(unit)}, expected a number above 0")
    return float(numbers[0])


def _numbers(values: Any, count: int) -> np.ndarray | None:
    """A list of so many finite numbers as float32, None if it is another thing."""
    if not isinstance(values, list) or len(values) != count:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    try:
        with np.errstate(over="ignore"):
            numbers = np.asarray(values, np.float32)
    except OverflowError:  # integers of hundreds of digits
        return None
    return numbers if np.isfinite(numbers).all() else None
