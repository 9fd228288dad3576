"""The table of published sizes."""

from pathlib import Path

import pytest

from benchmarks.published import PAGE, STORE
from benchmarks.published_page import BEGIN, END, HEADS, page_with, table
from benchmarks.published_presets import PRESETS
from datamodules.errors import DataError
from datamodules.json_values import parse_json

ENTRY = {
    "parameters": [116_700_000, 20_000_000],
    "batch": 1,
    "seconds_a_step": 12.34,
    "training_peak_bytes": [4 * 2**30, 5 * 2**30],
    "peak_bytes": 6 * 2**30,
    "loss": "loss/l2",
    "first": 0.25,
    "last": 0.125,
    "precision": "bf16-mixed",
    "machine": "a CPU (1 of 2 cores)",
}


def test_a_preset_is_a_row() -> None:
    _, rule, row = table({"one": ENTRY}, ["one"]).strip().splitlines()
    assert row == (
        "| one | 116.7 | 20.0 | 1 | 12.3 | 4.0 | 5.0 | 6.0 | `loss/l2` | 0.25 | 0.125 | bf16-mixed "
        "| a CPU (1 of 2 cores) |"
    )
    assert rule.count("|") == row.count("|") == len(HEADS) + 1


def test_without_discriminators_there_is_a_dash() -> None:
    assert "| one | 116.7 | - | 1 |" in table(
        {"one": ENTRY | {"parameters": [116_700_000]}}, ["one"]
    )


def test_what_failed_or_was_never_run_is_told() -> None:
    text = table({"b": ENTRY, "a": {"failed": "loss/l2 is not finite in a step"}}, ["a", "b", "c"])
    assert text.endswith("\n\na: loss/l2 is not finite in a step.\n\nNot run yet: c.\n")
    assert "| a |" not in text
    assert table({}, ["a", "b"]) == "Not run yet: a, b.\n"


def test_the_table_lies_between_its_lines() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nbelow\n"
    once = page_with(page, {"one": ENTRY}, ["one"])
    assert once.startswith(f"# Title\n\n{BEGIN}\n\n| preset |")
    assert once.endswith(f" |\n\n{END}\n\nbelow\n")
    assert page_with(once, {"one": ENTRY}, ["one"]) == once
    with pytest.raises(DataError, match="put them back"):
        page_with(page.replace(END, ""), {}, [])
    with pytest.raises(DataError, match="put them back"):
        page_with(page.replace(BEGIN, ""), {}, [])


def test_the_page_of_the_repository_has_what_is_kept() -> None:
    root = Path(__file__).parents[2]
    page, kept = (root / PAGE).read_text(), parse_json((root / STORE).read_bytes())
    assert isinstance(kept, dict)
    assert page_with(page, kept, [preset.name for preset in PRESETS]) == page
