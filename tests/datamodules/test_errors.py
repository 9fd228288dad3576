"""Numbers that users set are held to their range."""

import math

import pytest

from datamodules.errors import DataError, check_number, first_line


@pytest.mark.parametrize(
    ("value", "low", "high"), [(1, 1, 3), (3, 1, 3), (0.5, 0, 1), (10**30, 0, math.inf)]
)
def test_numbers_in_their_range_are_taken(value: float, low: float, high: float) -> None:
    check_number("--n", value, low, high)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0, r"^--n is 0, it must be from 1 to 10,000\.$"),
        (10_001, r"^--n is 10001, it must be from 1 to 10,000\.$"),
        (math.nan, r"^--n is nan, it must be"),
        (True, r"^--n is True, it must be"),
        ("5", r"^--n is '5', it must be"),
        (None, r"^--n is None, it must be"),
    ],
)
def test_others_are_refused_with_value_limit_and_knob(value: float, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_number("--n", value, 1, 10_000)


def test_without_an_upper_limit_infinity_is_refused_all_the_same() -> None:
    with pytest.raises(DataError, match=r"^--lr is inf, it must be at least 0\.$"):
        check_number("--lr", math.inf, 0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(21, "Is a directory", "/a/b"), "Is a directory"),
        (OSError("none of them"), "none of them"),
        (ValueError("one\ntwo"), "one"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_is_quoted_in_one_line_without_numbers_of_the_system(error, line) -> None:
    assert first_line(error) == line
