"""Choice between compiled CPU kernels and plain PyTorch, and access to the kernels.

Modules of kernels are imported on first use, so everything works without numba, slower, and says so
once.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor


@cache
def available() -> bool:
    """Return whether numba can compile the kernels here; warn once if not."""
    try:
        import_module("renderers.cpu.kernel_lanes")
    except ImportError as error:
        warnings.warn(
            f"numba kernels are unavailable ({error}); CPU rendering falls back to plain PyTorch, "
            "about ten times slower. Install numba to get them back.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def fast_path(storage: Tensor) -> bool:
    """Return whether kernels can read `storage`: float32 or bfloat16, on CPU, not traced."""
    return (
        storage.device.type == "cpu"
        and storage.dtype in (torch.float32, torch.bfloat16)
        and not torch.compiler.is_compiling()
        and available()
    )


@cache
def kernels(module: str) -> Any:
    """Return a module of CPU kernels by its path, imported on first use.

    It may be asked for where `fast_path` holds, which says whether numba is there.
    """
    return import_module(module)
