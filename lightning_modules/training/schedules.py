"""Values that change over training, always as functions of images seen."""

import math
from itertools import pairwise

from datamodules.errors import DataError, check_number

Schedule = float | list[tuple[int, float]]
"""A constant, or knots (images seen, value) joined by straight lines and held beyond the ends."""

MOST_IMAGES = 1_000_000_000_000
"""Longest run and longest interval, in images seen."""
MOST_WEIGHT = 1_000_000
"""Largest weight of a loss term."""


def scheduled_value(schedule: Schedule, images_seen: int) -> float:
    """Value of a schedule at a count of images.

    >>> scheduled_value([(0, 0.0), (1000, 1.0)], 250)
    0.25
    """
    if isinstance(schedule, int | float):
        return float(schedule)
    first_at, first = schedule[0]
    if images_seen <= first_at:
        return float(first)
    for (left_at, left), (right_at, right) in pairwise(schedule):
        if images_seen < right_at:
            share = (images_seen - left_at) / (right_at - left_at)
            return left + share * (right - left)
    return float(schedule[-1][1])


def check_schedule(name: str, schedule: Schedule, low: float, high: float) -> None:
    """Refuse knots that are empty or out of order, and values outside their range.

    name: the setting's.

    Raises:
        DataError: one sentence with the value, the limit and the knob.
    """
    if isinstance(schedule, int | float):
        check_number(name, schedule, low, high)
        return
    if not schedule or any(len(knot) != 2 for knot in schedule):
        raise DataError(
            f"{name} is {[*map(list, schedule)]}, it must be a number or a list of at least one "
            "knot [images seen, value]."
        )
    for knot, (count, value) in enumerate(schedule, start=1):
        check_number(f"{name}: the image count of knot {knot}", count, 0, MOST_IMAGES)
        check_number(f"{name}: the value of knot {knot}", value, low, high)
    counts = [count for count, _ in schedule]
    if any(b <= a for a, b in pairwise(counts)):
        raise DataError(
            f"{name} is {[*map(list, schedule)]}, it must be in increasing order of images."
        )


def always_zero(schedule: Schedule) -> bool:
    """Whether a schedule is zero at every count, so that what it weighs need not be computed."""
    if isinstance(schedule, int | float):
        return schedule == 0
    return all(value == 0 for _, value in schedule)


def warmup_cosine(images_seen: int, warmup: int, total: int, floor: float = 0.0) -> float:
    """Factor on a learning rate: a linear rise over `warmup` images, then half a cosine to `floor`.

    Returns a factor in [0, 1]; `total` and beyond give `floor`, once the rise is over.

    >>> [round(warmup_cosine(seen, warmup=100, total=1100), 3) for seen in (0, 50, 100, 600, 1100)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if images_seen < warmup:
        return images_seen / warmup
    progress = min(1.0, (images_seen - warmup) / max(1, total - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
