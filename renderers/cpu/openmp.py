"""Run compiled kernels, and Python functions made of them, on the threads that PyTorch already has.

A second pool of threads beside PyTorch's would fight with it: idle OpenMP workers spin for
milliseconds before they sleep, and take the cores from whoever runs next. So kernels go to the same
OpenMP library (`GOMP_parallel`, which libgomp and libomp both export), and `torch.set_num_threads`
governs them as well.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

COUNTER, UNITS, SLOTS = 0, 1, 2
"""A kernel's first int64 arguments: next work unit, end of the units, next thread slot."""

_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@lru_cache(maxsize=1)
def _parallel() -> Any | None:
    """Return PyTorch's `GOMP_parallel`, or None where PyTorch was built without OpenMP."""
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        if (folder / name).exists():
            # A lookup through this handle also searches the library's dependencies: its own OpenMP.
            function = getattr(ctypes.CDLL(str(folder / name)), "GOMP_parallel", None)
            if function is not None:
                function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
                function.restype = None
            return function
    return None


def thread_count(units: int) -> int:
    """Return on how many threads so many work units will run."""
    return 1 if _parallel() is None else max(1, min(torch.get_num_threads(), units))


def _pack(first_unit: int, units: int, arguments: tuple[int, ...]) -> np.ndarray:
    return np.array([first_unit, first_unit + units, 0, *arguments], dtype=np.int64)


def launch(kernel: Any, units: int, *arguments: int) -> None:
    """Run `kernel`, a numba cfunc of one pointer, on up to torch.get_num_threads() threads.

    Every thread takes work units from the shared counter until all `units` are done. Arguments are
    sizes, strides and addresses of tensors that the caller keeps alive. The GIL is released
    meanwhile.
    """
    threads, parallel = thread_count(units), _parallel()
    if threads == 1 or parallel is None:
        call(kernel, units, *arguments)
        return
    packed = _pack(0, units, arguments)
    parallel(kernel.address, packed.ctypes.data, threads, 0)


class Launch:
    """A kernel with arguments that stay, for one that runs often and shortly: nothing is packed.

    Args:
        kernel, units, arguments: as of `launch`; it runs on as many threads as there are now.
        kept: the tensors of the arguments, kept alive.
    """

    def __init__(self, kernel: Any, units: int, *arguments: int, kept: Sequence[Tensor]) -> None:
        self._kept, self._threads = list(kept), thread_count(units)
        self._packed = _pack(0, units, arguments)
        self._address, self._kernel = self._packed.ctypes.data, _KERNEL(kernel.address)
        self._pointer = kernel.address

    def __call__(self) -> None:
        """Run all units."""
        self._packed[COUNTER] = self._packed[SLOTS] = 0
        parallel = _parallel()
        if self._threads == 1 or parallel is None:
            self._kernel(self._address)
        else:
            parallel(self._pointer, self._address, self._threads, 0)


def call(kernel: Any, units: int, *arguments: int, first_unit: int = 0) -> None:
    """Run the units `first_unit` .. `first_unit + units` of `kernel` on the calling thread."""
    packed = _pack(first_unit, units, arguments)
    _KERNEL(kernel.address)(packed.ctypes.data)


def run_on_threads(body: Callable[[], None], threads: int) -> None:
    """Call `body` once on each of `threads` threads and wait; PyTorch operations inside run on
    their own thread.

    Long chains of small operations go faster this way than operation by operation, since threads
    need not wait for each other after every one. No gradients are recorded. The first exception is
    raised here.
    """
    parallel = _parallel()
    if threads == 1 or parallel is None:
        with torch.no_grad():
            body()
        return
    inference, errors = torch.is_inference_mode_enabled(), []

    def guarded(_: int | None) -> None:
        try:
            with torch.inference_mode(inference), torch.no_grad():
                body()
        except BaseException as error:
            errors.append(error)

    callback = _KERNEL(guarded)
    parallel(ctypes.cast(callback, ctypes.c_void_p), None, threads, 0)
    if errors:
        raise errors[0]
