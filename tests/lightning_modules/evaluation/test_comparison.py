"""Spread, differences that exceed the noise, and the table."""

import math

import pytest

from lightning_modules.evaluation.comparison import Figure, best, differ, markdown_table

NEAR = Figure((4.0, 4.4, 4.2, 4.1, 4.3))
NOISY = Figure((3.0, 5.4, 4.2, 2.1, 5.3))
FAR = Figure((9.0, 9.4, 9.2, 9.1, 9.3))


def test_mean_and_deviation_are_those_of_the_repeats() -> None:
    assert (NEAR.mean, NEAR.deviation) == pytest.approx((4.2, math.sqrt(0.025)))
    assert str(NEAR) == "4.20 +- 0.16"
    assert (str(Figure((0.5,))), str(Figure((1234.0, 1250.0)))) == ("0.5", "1242 +- 11")
    assert str(Figure((2.0, 2.0))) == "2 +- 0"
    assert Figure((2.0,)).as_json() == {"mean": 2.0, "deviation": None, "repeats": [2.0]}
    assert Figure((math.nan, 1.0)).as_json()["repeats"] == [None, 1.0]


def test_a_difference_is_one_beyond_the_noise_only() -> None:
    assert differ(NEAR, FAR) is True
    assert differ(NEAR, NOISY) is False
    assert differ(NEAR, Figure((9.0,))) is None
    assert differ(Figure((1.0, 1.0)), Figure((1.0, 1.0))) is False
    assert differ(Figure((1.0, 1.0)), Figure((1.1, 1.1))) is True


def test_welchs_test_is_told_apart_at_five_percent() -> None:
    # By hand: t = (2 - 1) / sqrt(s^2 / 3 * 2), 4 degrees of freedom, critical at 2.776.
    inside, beyond = (2.70, 2.85)
    for t, expected in ((inside, False), (beyond, True)):
        spread = math.sqrt(3 / 2) / t
        first = Figure((1 - spread, 1.0, 1 + spread))
        assert differ(first, Figure((2 - spread, 2.0, 2 + spread))) is expected


def test_the_best_is_marked_with_what_cannot_be_told_from_it() -> None:
    assert best("fid/x", [FAR, NEAR, NOISY, None]) == [False, True, True, False]
    assert best("precision/x", [FAR, NEAR, NOISY]) == [True, False, False]
    assert best("rfid/x", [FAR, NEAR]) == [False, True]
    assert best("kid_std/x", [FAR, NEAR]) == [False, False]  # neither way is better
    assert best("fid/x", [FAR]) == [False]
    assert best("fid/x", [Figure((1.0,)), Figure((2.0,))]) == [False, False]


def test_the_table_has_a_column_a_checkpoint() -> None:
    lines = markdown_table({"a": {"fid/x": NEAR, "nfs/d": FAR}, "b|c": {"fid/x": FAR}}).split("\n")
    assert lines[0] == "|  | a | b\\|c |"
    assert lines[2] == "| fid/x (lower) | **4.20 +- 0.16** | 9.20 +- 0.16 |"
    assert lines[3] == "| nfs/d (higher) | 9.20 +- 0.16 |  |"
    assert lines[5].startswith("Mean and deviation over 5 repeats. Bold")
    assert markdown_table({"a": {"fid/x": Figure((1.0,))}}).endswith("| 1 |\n")
