"""Notes that builds leave: why images were rejected, and how settings differ from earlier ones."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.build.writer import Rejected
from datamodules.files import write_atomically
from datamodules.json_values import shown
from datamodules.manifest import Parameter


def write_reasons(path: Path, rejected: Sequence[Rejected]) -> None:
    """Write sources and reasons as CSV; without any, remove what an earlier attempt left there."""
    if not rejected:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("source", "reason"))
    writer.writerows((each.source, each.reason) for each in rejected)
    write_atomically(path, text.getvalue())


def read_reasons(path: Path) -> list[Rejected]:
    """What `write_reasons` wrote; nothing where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", errors="replace") as file:
        return [Rejected(row["source"], row["reason"]) for row in csv.DictReader(file)]


def changed_parameters(old: Mapping[str, Parameter], new: Mapping[str, Parameter]) -> str:
    """What differs between two settings, in words; empty if nothing does."""
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return ", ".join(
        f"{name} {_brief(old.get(name))}, now {_brief(new.get(name))}" for name in names
    )


def _brief(value: Parameter) -> str:
    """As Python writes it; of a SHA-256 the beginning."""
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return f"{value[:12]}..."
    return shown(value)
