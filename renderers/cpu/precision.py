"""Choice of the floating point type for matrix products."""

from __future__ import annotations

import platform
import time
from functools import lru_cache

import torch
from torch import Tensor

_X86 = ("x86_64", "amd64")
_TILES, _VECTORS = "_is_amx_tile_supported", "_is_avx512_bf16_supported"
_LIBRARY = "_is_mkldnn_bf16_supported"
_SIDE, _ROUNDS = 512, 6


@lru_cache(maxsize=1)
def bf16_is_fast() -> bool:
    """Return whether bfloat16 matrix products beat float32 ones on this machine's CPU.

    They do where the processor multiplies tiles of bfloat16 (AMX on x86, BF16 on Arm) and PyTorch's
    oneDNN uses it. Of vectors (AVX512-BF16) some processors multiply twice as many a second as of
    float32 and others half as many, so there both are timed once. Elsewhere they
    are emulated, ten to a hundred times slower than float32. oneDNN alone does not tell: on x86 it
    also accepts plain AVX512, which emulates.
    """
    library = getattr(torch.ops.mkldnn, _LIBRARY, None)
    if library is None or not library():
        return False
    if platform.machine().lower() not in _X86 or _has(_TILES):
        return True
    return _has(_VECTORS) and bf16_outruns_float32()


def _has(instructions: str) -> bool:
    return bool(getattr(torch.cpu, instructions, lambda: False)())


def bf16_outruns_float32() -> bool:
    """Time products of 512 x 512 matrices in both types, in turn; the fastest of six counts.

    Of the process's own time: beside other work, seconds by the clock mistake one in twenty.
    """
    matrices = [torch.ones(_SIDE, _SIDE, dtype=t) for t in (torch.float32, torch.bfloat16)]
    fastest = [float("inf")] * 2
    for _ in range(_ROUNDS):
        for kind, matrix in enumerate(matrices):
            start = time.process_time()
            torch.mm(matrix, matrix)
            fastest[kind] = min(fastest[kind], time.process_time() - start)
    return fastest[1] < fastest[0]


def product_type(storage: Tensor) -> torch.dtype:
    """Return the type for matrix products of values stored as `storage`.

    That is its own type, except that a CPU without fast bfloat16 products takes float32.
    """
    slow = storage.device.type == "cpu" and storage.dtype == torch.bfloat16 and not bf16_is_fast()
    return torch.float32 if slow else storage.dtype
