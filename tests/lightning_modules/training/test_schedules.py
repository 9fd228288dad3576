import math

import pytest

from datamodules.errors import DataError
from lightning_modules.training.schedules import (
    always_zero,
    check_schedule,
    scheduled_value,
    warmup_cosine,
)


@pytest.mark.parametrize(
    ("images_seen", "value"),
    [(0, 1.0), (100, 1.0), (150, 2.0), (200, 3.0), (300, 2.5), (400, 2.0), (10**9, 2.0)],
)
def test_knots_are_joined_by_lines_and_held_beyond_the_ends(images_seen: int, value: float) -> None:
    assert scheduled_value([(100, 1.0), (200, 3.0), (400, 2.0)], images_seen) == value


def test_constants_and_single_knots_do_not_change() -> None:
    assert scheduled_value(0.25, 10**9) == 0.25
    assert scheduled_value(2, 0) == 2.0
    assert [scheduled_value([(50, 0.5)], n) for n in (0, 50, 100)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("knots", [[(10, 1.0), (5, 0.0)], [(10, 1.0), (10, 0.0)]])
def test_knots_out_of_order_are_refused(knots: list[tuple[int, float]]) -> None:
    with pytest.raises(DataError, match=r"^depth is .*, it must be in increasing order of images"):
        check_schedule("depth", knots, 0, 1)


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ([], r"^depth is \[\], it must be a number or a list of at least one knot"),
        ([(0, 1.0, 2.0)], r"^depth is \[\[0, 1.0, 2.0\]\], it must be a number or a list of"),
        (-1.0, r"^depth is -1.0, it must be from 0 to 1\."),
        (math.nan, r"^depth is nan, it must be from 0 to 1\."),
        ([(0, 1.0), (5, math.inf)], r"^depth: the value of knot 2 is inf, it must be from"),
        ([(-1, 1.0)], r"^depth: the image count of knot 1 is -1, it must"),
    ],
)
def test_what_is_no_schedule_is_refused(
    schedule: float | list[tuple[int, float]], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        check_schedule("depth", schedule, 0, 1)


@pytest.mark.parametrize(
    ("schedule", "zero"),
    [(0, True), (0.0, True), (0.1, False), ([(0, 0.0)], True), ([(0, 0.0), (9, 1.0)], False)],
)
def test_only_a_schedule_that_never_rises_is_always_zero(schedule: object, zero: bool) -> None:
    assert always_zero(schedule) is zero


@pytest.mark.parametrize(
    ("images_seen", "factor"),
    # Half a cosine from 1 at 100 to 0.2 at 500: midway 0.2 + 0.8 / 2; a quarter of the way
    # 0.2 + 0.4 (1 + cos 45 deg) = 0.882843.
    [(0, 0.0), (25, 0.25), (100, 1.0), (200, 0.882843), (300, 0.6), (500, 0.2), (9000, 0.2)],
)
def test_learning_rate_rises_and_follows_half_a_cosine(images_seen: int, factor: float) -> None:
    assert warmup_cosine(images_seen, warmup=100, total=500, floor=0.2) == pytest.approx(
        factor, abs=1e-6
    )


def test_without_warmup_the_rate_starts_at_its_peak() -> None:
    assert warmup_cosine(0, warmup=0, total=10) == 1.0
    assert warmup_cosine(10, warmup=0, total=10) == pytest.approx(0.0)
