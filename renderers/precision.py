"""Which floating point type matrix products should run in."""

from __future__ import annotations

import platform
from functools import lru_cache

import torch
from torch import Tensor

_X86 = ("x86_64", "amd64")
_INSTRUCTIONS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
_LIBRARY = "_is_mkldnn_bf16_supported"


@lru_cache(maxsize=1)
def bf16_is_fast() -> bool:
    """Return whether bfloat16 matrix products beat float32 ones on this machine's CPU.

    They do where the processor multiplies bfloat16 (AMX or AVX512-BF16 on x86, BF16 on Arm) and
    PyTorch's oneDNN uses it. Elsewhere they are emulated, ten to a hundred times slower than
    float32. oneDNN alone does not tell: on x86 it also accepts plain AVX512, which emulates.
    """
    library = getattr(torch.ops.mkldnn, _LIBRARY, None)
    if library is None or not library():
        return False
    if platform.machine().lower() not in _X86:
        return True
    return any(getattr(torch.cpu, name, lambda: False)() for name in _INSTRUCTIONS)


def product_type(storage: Tensor) -> torch.dtype:
    """Return the type for matrix products of values stored as `storage`.

    That is its own type, except that a CPU without fast bfloat16 products takes float32.
    """
    emulated = storage.device.type == "cpu" and storage.dtype == torch.bfloat16
    return torch.float32 if emulated and not bf16_is_fast() else storage.dtype
