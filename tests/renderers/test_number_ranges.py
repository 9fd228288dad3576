"""The range of numbers that users set, where there is no DataError."""

import math

import pytest

from datamodules.errors import DataError
from datamodules.errors import check_number as check_for_data
from renderers.ranges import check_number


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [(1, 1, 3), (3, 1, 3), (10**400, 0, math.inf), (-(10**400), -math.inf, 0)],
)
def test_numbers_in_their_range_are_taken(value: float, low: float, high: float) -> None:
    check_number("coarse", value, low, high)


@pytest.mark.parametrize("value", [0, 4, -(10**400), 10**400, math.nan, math.inf, True, "2", None])
def test_others_are_refused_in_the_sentence_that_data_have(value: float) -> None:
    with pytest.raises(ValueError, match=r"^coarse is .*, it must be from 1 to 3\.$") as ours:
        check_number("coarse", value, 1, 3)
    with pytest.raises(DataError) as theirs:
        check_for_data("coarse", value, 1, 3)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_without_a_limit_infinity_is_refused_all_the_same(value: float) -> None:
    with pytest.raises(ValueError, match=r"it must be at least 0\.$"):
        check_number("guidance", value, 0)
