"""Record of a run beside its checkpoints: versions of code and packages, metrics."""

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from datamodules.files import write_atomically

PACKAGES = (
    "wild3d",
    "torch",
    "torchvision",
    "lightning",
    "webdataset",
    "numpy",
    "numba",
    "xformers",
    "torchmetrics",
    "jsonargparse",
)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write indented JSON; the file appears whole or not."""
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def versions() -> dict[str, Any]:
    """Git revision of the source tree, and versions of Python, packages and CUDA."""
    return {
        "git": git_revision(Path(__file__).parents[2]),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "packages": {name: _package_version(name) for name in PACKAGES},
    }


def git_revision(root: Path) -> str | None:
    """Commit of the working tree `root`, `-dirty` with local changes; None if it is none."""
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]  # no tag names
    try:
        # An installed copy may lie inside a repository that is not ours.
        top = _git(root, "rev-parse", "--show-toplevel")
        return _git(root, *describe) if Path(top) == root.resolve() else None
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
