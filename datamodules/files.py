"""Write files so that a reader sees the old one or the new one, never a part."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`, which takes its place if the block ends without error.

    Only a killed process leaves it behind, as ``<name>.<process>.partial``.
    """
    # Of this process alone: two that write the same file must not write into each other's.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file, making its folder, or leave what was there; text becomes UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write indented JSON, making the folder; the file appears whole or not."""
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left of `replacing` in a folder, which need not exist."""
    for partial in folder.glob("*.[0-9]*.partial"):
        partial.unlink(missing_ok=True)
