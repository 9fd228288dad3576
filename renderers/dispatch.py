"""Choice between compiled kernels and plain PyTorch, and access to the kernels.

Modules of kernels are imported on first use, so everything works without numba and without Triton,
slower, and says so once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn


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


def gpu_path(planes: Tensor, weights: Sequence[Tensor], activation: str) -> bool:
    """Return whether Triton kernels can read `planes` (B, 3, C, H, W): float32 or bfloat16, on a
    GPU, not traced, and kernels for an MLP of such weights passed their trial there.

    weights: in the order of `MLPWeights.flat`.
    """
    return (
        planes.device.type == "cuda"
        and planes.dtype in (torch.float32, torch.bfloat16)
        and planes.shape[2:].numel() < 2**31  # indices in a plane are int32
        # Neither stand-ins without memory nor weights divided among processes.
        and all(type(x) in (Tensor, nn.Parameter) for x in (planes, *weights))
        and not torch.compiler.is_compiling()
        and _trial(
            planes.device,
            planes.dtype,
            tuple(tuple(x.shape) for x in weights),
            activation,
            tf32_allowed(),
        )
    )


def tf32_allowed() -> bool:
    """Return whether float32 products on a GPU may be rounded to TF32, as PyTorch is told."""
    return torch.backends.cuda.matmul.fp32_precision == "tf32"


@cache
def _trial(
    device: torch.device, kind: torch.dtype, shapes: tuple[Any, ...], activation: str, _: bool
) -> bool:
    """Try the kernels once for each kind of problem; warn if they do not work."""
    try:
        kernels("renderers.cuda.probe").trial(device, kind, shapes, activation)
    except Exception as error:  # whatever a compiler, a driver or a GPU may raise
        warnings.warn(
            f"Triton kernels are unavailable on {device} ({type(error).__name__}: {error}); "
            "rendering there falls back to plain PyTorch, several times slower.",
            RuntimeWarning,
            stacklevel=3,
        )
        return False
    return True


@cache
def kernels(module: str) -> Any:
    """Return a module of kernels by its path, imported on first use.

    It may be asked for where `fast_path` or `gpu_path` holds, which says whether it can be.
    """
    return import_module(module)
