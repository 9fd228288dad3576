"""`wild3d compare`: the results of several runs as one table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import DataError, Failures
from datamodules.files import write_atomically

LEFT_OUT = ("protocol",)
MOST_BYTES = 1_000_000


def compare(runs: list[str], out: str | None = None) -> None:
    """Print the metrics in result.json of runs side by side, a row each, as a Markdown table.

    Args:
        runs: folders of finished runs, e.g. runs/ablation-shapeworld-baseline.
        out: file to write the table to, too, e.g. runs/ablation-shapeworld.md.

    Raises:
        DataError: runs have no results, each with its reason, or no figure in common.
    """
    if not runs:
        raise DataError("--runs is empty: name at least one folder of a run.")
    names = [Path(run).resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = runs
    results, failures = {}, Failures(len(runs))
    for name, run in zip(names, runs, strict=True):
        with failures.kept():
            results[name] = _result(Path(run))
    failures.tell()
    if len(results) > 1 and not set.intersection(*(set(found) for found in results.values())):
        raise DataError(
            f"the runs {', '.join(results)} have no figure in common: compare runs of one kind."
        )
    table = markdown_table(results)
    print(table, end="")
    if out is not None:
        write_atomically(Path(out), table)


def _result(run: Path) -> dict[str, Any]:
    """The figures of a run; DataError if it has none."""
    path = run / "result.json"
    if not path.is_file():
        raise DataError(f"{run} has no result.json: let the run end, or leave it out of --runs.")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise DataError(
            f"{path} has {size:,} bytes, results have at most {MOST_BYTES:,}: leave {run} out of "
            "--runs."
        )
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON ({error}): leave {run} out of --runs.") from error
    figures = content if isinstance(content, dict) else {}
    kept = {name: value for name, value in figures.items() if name not in LEFT_OUT}
    if not kept or any(isinstance(value, dict | list) for value in kept.values()):
        raise DataError(f"{path} holds no figures by name: leave {run} out of --runs.")
    return kept


def markdown_table(results: dict[str, dict[str, Any]]) -> str:
    """A row for each result, a column for each metric that any has; missing ones stay empty."""
    columns = list(dict.fromkeys(name for result in results.values() for name in result))
    rows = [["run", *map(_cell, columns)], ["---", *("---:" for _ in columns)]]
    for name, result in results.items():
        rows.append([_cell(name), *(_cell(result.get(column)) for column in columns)])
    return "".join(_line(row) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number:
        return f"{value:,}"
    text = str(value).encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in text).replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
