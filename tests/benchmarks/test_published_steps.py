"""What must hold of the steps of a run that was interrupted and continued."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.published_steps import (
    Launch,
    Step,
    ends_of,
    faults,
    median_seconds,
    read_launches,
)

KEYS = [("a",), ("b",), ("b",), ("a",), ("b",), ("a",), ("a",), ("b",)]
"""Of two images, four times each."""
LOSSES = [4.0, 6.0, 5.0, 3.0, 2.0, 3.0, 1.0, 2.0]


def launches(losses: list[float] = LOSSES, begun_at: int = 3) -> list[Launch]:
    """Eight steps of an image each, interrupted after the third."""
    steps = [
        Step(number + 1, keys, 10.0 if number in (0, 3) else number, 100, {"loss/l2": loss})
        for number, (keys, loss) in enumerate(zip(KEYS, losses, strict=True))
    ]
    return [Launch(0, (5,), tuple(steps[:3])), Launch(begun_at, (5,), tuple(steps[3:]))]


def found(given: list[Launch], loss: str = "loss/l2") -> list[str]:
    return faults(given, KEYS, interrupted_at=3, loss=loss)


def test_a_whole_run_has_no_fault() -> None:
    assert found(launches()) == []


def test_the_first_and_the_last_steps_are_compared() -> None:
    assert ends_of(launches(), "loss/l2") == (5.0, 1.5)


def test_a_loss_that_does_not_fall_is_a_fault() -> None:
    rising = [4.0, 6.0, 1.0, 1.0, 1.0, 1.0, 7.0, 4.0]  # between them it is low
    assert found(launches(rising)) == ["loss/l2 is 5 in the first steps and 5.5 in the last"]
    assert found(launches([2.0] * 8)) == ["loss/l2 is 2 in the first steps and 2 in the last"]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_a_fault(number: float) -> None:
    broken = launches()
    broken[0].steps[1].figures["train/grad_norm"] = number
    assert found(broken) == ["train/grad_norm is not finite in a step"]
    within = [*LOSSES[:4], number, *LOSSES[5:]]
    assert found(launches(within)) == ["loss/l2 is not finite in a step"]
    at_the_end = [*LOSSES[:7], number]
    assert len(found(launches(at_the_end))) == 2


def test_a_run_that_begins_anew_or_skips_images_is_a_fault() -> None:
    assert found(launches(begun_at=0)) == ["launches began at [0, 0] images, not at [0, 3]"]
    assert "launches began at [0] images" in found(launches()[:1])[0]
    first, second = launches()
    again = Launch(3, (5,), (first.steps[0], *second.steps[1:]))  # its 1st image, not its 4th
    b_for_a = Launch(3, (5,), (first.steps[1], *second.steps[1:]))
    assert found([first, again]) == []  # which is the same image here
    assert found([first, b_for_a]) == ["its images are not those of an uninterrupted run"]


def test_a_loss_that_is_not_there_is_a_fault() -> None:
    assert found(launches(), "loss/l1") == ["there is no loss/l1 of every step"]
    nothing = [Launch(0, (5,), ()), Launch(3, (5,), ())]
    assert found(nothing)[-1] == "there is no loss/l2 of every step"


def test_the_first_step_of_a_launch_is_not_timed() -> None:
    assert median_seconds(launches()) == 4.5  # of 1, 2, 4, 5, 6, 7


def test_what_is_noted_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    step = {"images": 2, "keys": ["a", "b"], "seconds": 0.5, "peak": 7, "figures": {"x": math.nan}}
    lines = [{"begun_at": 0, "parameters": [3, 4]}, step, {"begun_at": 2, "parameters": [3, 4]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second = read_launches(path)
    assert (first.begun_at, first.parameters, len(first.steps)) == (0, (3, 4), 1)
    assert first.steps[0].keys == ("a", "b")
    assert math.isnan(first.steps[0].figures["x"])
    assert (second.begun_at, second.steps) == (2, ())
