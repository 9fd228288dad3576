"""`wild3d compare`: the results of several runs as one table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.files import write_atomically

LEFT_OUT = ("protocol",)


def compare(runs: list[str], out: str | None = None) -> None:
    """Print the metrics in result.json of runs side by side, a row each, as a Markdown table.

    Args:
        runs: folders of finished runs, e.g. runs/ablation-shapeworld-baseline.
        out: file to write the table to, too, e.g. runs/ablation-shapeworld.md.

    Raises:
        DataError: a run has no result.
    """
    names = [Path(run).resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = runs
    results = {name: _result(Path(run)) for name, run in zip(names, runs, strict=True)}
    table = markdown_table(results)
    if out is not None:
        write_atomically(Path(out), table)
    print(table, end="")


def _result(run: Path) -> dict[str, Any]:
    path = run / "result.json"
    if not path.is_file():
        raise DataError(f"{run} has no result.json: let the run end, or leave it out of --runs.")
    content: dict[str, Any] = json.loads(path.read_text())
    return {name: value for name, value in content.items() if name not in LEFT_OUT}


def markdown_table(results: dict[str, dict[str, Any]]) -> str:
    """A row for each result, a column for each metric that any has; missing ones stay empty."""
    columns = list(dict.fromkeys(name for result in results.values() for name in result))
    rows = [["run", *columns], ["---", *("---:" for _ in columns)]]
    for name, result in results.items():
        rows.append([name, *(_cell(result.get(column)) for column in columns)])
    return "".join(_line(row) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
