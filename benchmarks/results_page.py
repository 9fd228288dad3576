"""The page of results, out of what is kept of each table."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results_entries import REPORTS, TABLES, Report, Table
from datamodules.json_values import as_object, parse_json
from lightning_modules.evaluation.comparison import Figure, markdown_table

HEAD = (
    "Written by `make results`, out of docs/results/; nothing here is typed by hand. Every figure "
    "is of one training; deviations are over five repeats of the measurement, with other seeds or "
    "other photographs, not over trainings. FID of few images is biased upwards, KID is not. What "
    "figures mean, and which may be compared, says [evaluation.md](evaluation.md)."
)

BESIDE = (
    ("is_of_real_images", "Inception Score of real images {:.3g}"),
    ("pose_error_of_real_images", "pose error of real images by other objects {:.1f} degrees"),
    ("pose_median_of_real_images", "its median {:.1f}"),
    ("pose_error_by_chance", "by chance {:.1f}"),
)
"""Of the protocol, what figures are to be read beside."""

COLUMNS = (
    ("psnr", "PSNR {:.1f} dB"),
    ("object_psnr", "of objects {:.1f} dB"),
    ("silhouette_iou", "IoU {:.2f}"),
    ("disparity_correlation", "disparity correlation {:.2f}"),
    ("codebook_usage", "codes in use {:.0%}"),
    ("bits_per_token", "{:.2f} bits per token"),
    ("accuracy", "accuracy {:.3f}"),
    ("correlation", "correlation {:.3f}"),
    ("delta_1.25", "delta < 1.25 {:.3f}"),
    ("kid", "KID {:.3f}"),
    ("non_flatness", "non-flatness {:.1f}"),
)
"""Validation figures of result.json and how they are told."""


def page(store: Path, runs: Mapping[str, str]) -> str:
    """The page as Markdown.

    store: folder of what is kept; runs: of the configurations that train.
    """
    head = "\n".join(["# Results", "", *_filled(HEAD), ""])
    parts = [head, trainings_table(_read(store / "trainings.json"), runs)]
    parts += [table_section(store, table) for table in TABLES]
    parts += [report_section(store, report) for report in REPORTS]
    return "\n".join(parts)


def trainings_table(trainings: Mapping[str, Any], runs: Mapping[str, str]) -> str:
    """A row a configuration: images, minutes, machine, figures of its validation."""
    lines = ["## Trainings", "", "| configuration | images | minutes | validation | machine |"]
    lines.append("|---|---:|---:|---|---|")
    untrained = [config for config in runs if config not in trainings]
    for config, kept in trainings.items():
        result = kept["result"]
        minutes = f"{result['seconds'] / 60:.0f}"
        cells = [config, f"{result['images_seen']:,}", minutes, validation(result), kept["machine"]]
        lines.append(f"| {' | '.join(cells)} |")
    rest = f"Not trained to the end by us: {', '.join(untrained)}; their headers say more."
    return "\n".join([*lines, "", *_filled(rest), ""])


def validation(result: Mapping[str, Any]) -> str:
    """Figures of a result.json in words."""
    told = ((form, _found(result, key)) for key, form in COLUMNS)
    return ", ".join(form.format(value) for form, value in told if value is not None)


def header_lines(kept: Mapping[str, Any]) -> list[str]:
    """What the header of a configuration says of its training."""
    result = kept["result"]
    seconds = f"{result['seconds'] / 60:.0f} minutes on {kept['machine']}"
    return [
        f"# Measured (docs/results.md): {validation(result)}.",
        f"# Trained on {result['images_seen']:,} images in {seconds}.",
    ]


def table_section(store: Path, table: Table) -> str:
    """A table with its command, what it is to be read beside, and its sheets."""
    lines, found = [f"## {table.title}", ""], _read(store / f"{table.name}.json")
    if not found:
        return "\n".join([*lines, f"Not measured yet: {', '.join(table.configs)}.", ""])
    record = _read(store / f"{table.name}.run.json")
    results = {
        result["name"]: {
            label: Figure(tuple(float("nan") if x is None else x for x in figure["repeats"]))
            for label, figure in result["figures"].items()
        }
        for result in found["results"]
    }
    figures, _, note = markdown_table(results).partition("\n\n")
    lines += [*_command(record["command"]), "", figures, "", *_filled(note), ""]
    protocol, first = found["protocol"], found["results"][0]["protocol"]
    beside = [form.format(protocol[key]) for key, form in BESIDE if key in protocol]
    seen = f", seen {first['cameras']}" if "cameras" in first else ""
    trained = [f"{r['images_seen']:,}" for r in found["results"] if r["images_seen"] is not None]
    text = (
        f"{first['samples']} scenes a repeat{seen}, of checkpoints after {' and '.join(trained)} "
    )
    text += f"training images; {protocol['real_images']} real images of "
    text += f"{protocol['resolution']} pixels."
    if beside:
        text += f" To be read beside: {'; '.join(beside)}."
    lines += [*_filled(f"{text} {_taken(record)}"), ""]
    alone = len(results) == 1
    for name in results:
        sheet = f"{table.name}.jpg" if alone else f"{table.name}-{name}.jpg"
        lines += [f"![scenes of {name}](results/{sheet})", ""]
    return "\n".join(lines)


def report_section(store: Path, report: Report) -> str:
    """What a command printed."""
    path, record = store / f"{report.name}.md", _read(store / f"{report.name}.run.json")
    lines = [f"## {report.title}", ""]
    if not path.exists():
        return "\n".join([*lines, f"Not measured yet: {', '.join(report.runs)}.", ""])
    told = _filled(_taken(record))
    return "\n".join([*lines, *_command(record["command"]), "", path.read_text(), *told, ""])


def _taken(record: Mapping[str, Any]) -> str:
    """How long a measurement took, on which machine and by which code."""
    seconds = record["seconds"]
    time = f"{seconds} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return f"Measured in {time} on {record['machine']}, at {record['git']}."


def _found(result: Mapping[str, Any], key: str) -> float | None:
    """A figure of a result by its name, or the beginning of its label."""
    for name, value in result.items():
        if name.partition("/")[0] == key and isinstance(value, int | float):
            return float(value)
    return None


def _command(command: str) -> list[str]:
    """A command as an indented block of short lines."""
    lines = textwrap.wrap(command, 108, break_long_words=False, break_on_hyphens=False)
    return ["    " + " \\\n      ".join(lines)]


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _read(path: Path) -> dict[str, Any]:
    return dict(as_object(parse_json(path.read_bytes()), str(path))) if path.exists() else {}
