"""Whether the compiled CPU kernels can be used, and access to them.

The kernel modules are imported on first use, so `renderers` works without numba, slower, and says
so once.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=1)
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


def triplane_kernel() -> Any:
    """Return the module of lookup and scatter kernels."""
    return import_module("renderers.cpu.triplane_kernel")


def compositing_kernel() -> Any:
    """Return the module of compositing kernels."""
    return import_module("renderers.cpu.compositing_kernel")


def triplane_mlp_chunks() -> Any:
    """Return the module with the chunk loops of the triplane MLP, around PyTorch's products."""
    return import_module("renderers.cpu.triplane_mlp_chunks")


def triplane_mlp_fused_kernel() -> Any:
    """Return the module with the triplane MLP's forward in one kernel, products in float32."""
    return import_module("renderers.cpu.triplane_mlp_fused_kernel")


def ray_kernel() -> Any:
    """Return the module of the importance sampling kernel."""
    return import_module("renderers.cpu.ray_kernel")


def integration_kernel() -> Any:
    """Return the module of integration kernels."""
    return import_module("renderers.cpu.integration_kernel")
