"""The table of `docs/scaling.md`, out of what is kept of each preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datamodules.errors import DataError

BEGIN, END = "<!-- make test-published writes from here -->", "<!-- to here -->"
"""Lines of the page between which the table lies."""

HEADS = (
    "preset",
    "parameters, M",
    "of discriminators",
    "batch",
    "seconds a step",
    "GiB, begun",
    "GiB, continued",
    "GiB, at most",
    "loss that must fall",
    "first steps",
    "last steps",
    "trained in",
    "machine",
)
GIB = 2**30


def page_with(page: str, kept: Mapping[str, Any], names: Sequence[str]) -> str:
    """The page with the table of what is kept.

    names: of all presets, in their order.

    Raises:
        DataError: the page lacks the lines between which it lies.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise DataError(f"The page must have the lines {BEGIN} and {END}: put them back.")
    return "".join([before, begin, "\n", table(kept, names), "\n", end, after])


def table(kept: Mapping[str, Any], names: Sequence[str]) -> str:
    """A row a preset, as Markdown; what failed and what was never run have a sentence below."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" + "|---:" * 7 + "|---|---:|---:|---|---|"]
    taken = [name for name in names if "failed" not in kept.get(name, {"failed": ""})]
    lines += [f"| {' | '.join([name, *_cells(kept[name])])} |" for name in taken]
    parts = ["\n".join(lines)] if taken else []
    parts += [
        f"{name}: {kept[name]['failed']}." for name in names if kept.get(name, {}).get("failed")
    ]
    if missing := [name for name in names if name not in kept]:
        parts.append(f"Not run yet: {', '.join(missing)}.")
    return "\n\n".join(parts) + "\n"


def _cells(entry: Mapping[str, Any]) -> list[str]:
    model, *discriminators = (f"{count / 1e6:.1f}" for count in entry["parameters"])
    return [
        model,
        *(discriminators or ["-"]),
        str(entry["batch"]),
        f"{entry['seconds_a_step']:.1f}",
        *(f"{peak / GIB:.1f}" for peak in (*entry["training_peak_bytes"], entry["peak_bytes"])),
        f"`{entry['loss']}`",
        f"{entry['first']:.4g}",
        f"{entry['last']:.4g}",
        entry["precision"],
        entry["machine"],
    ]
