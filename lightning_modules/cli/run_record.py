"""Versions of the source and of the packages behind a run."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lightning_modules.inference.provenance import git_revision

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


def versions() -> dict[str, Any]:
    """Git revision of the source tree, and versions of Python, packages and CUDA."""
    return {
        "git": git_revision(Path(__file__).parents[2]),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "packages": {name: _package_version(name) for name in PACKAGES},
    }


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
