"""Timing of two sides interleaved: medians over rounds, GEMM rates beside every figure."""

from __future__ import annotations

import ctypes
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor

Side = Callable[[], object]
LARGEST, SMALLEST = 2048, 256
"""Rows of the square matrices whose product is timed."""
LONGEST = 1.0
"""Seconds that one product may take; emulated bfloat16 needs smaller matrices for it."""
GEMMS = {"gemm_f32": torch.float32, "gemm_bf16": torch.bfloat16}


@dataclass(frozen=True)
class Rates:
    """Matrix product rates of this machine in this run, GFLOP/s, `gemm_size` cubed, medians."""

    f32: float
    bf16: float


@dataclass(frozen=True)
class Result:
    """One figure; unit "x" is a ratio; sides: what was measured against what."""

    name: str
    figure: float
    unit: str
    sides: tuple[str, str]
    gemm_f32_gflops: float
    gemm_bf16_gflops: float


def result(name: str, figure: float, unit: str, sides: tuple[str, str], rates: Rates) -> Result:
    """Attach the GEMM rates of this run to a figure."""
    return Result(name, figure, unit, sides, rates.f32, rates.bf16)


def seconds(side: Side) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def interleaved(sides: dict[str, Side], rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """Time every side once a round, in turn: a slow moment of the machine meets them all."""
    for _ in range(warmup):
        for side in sides.values():
            side()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(seconds(side))
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median seconds of every side."""
    return {name: statistics.median(values) for name, values in times.items()}


def ratio(times: dict[str, list[float]], slow: str, fast: str) -> float:
    """Return the median over rounds of time(slow) / time(fast), pairs of one moment."""
    pairs = zip(times[slow], times[fast], strict=True)
    return statistics.median(a / b for a, b in pairs)


@cache
def gemm_size(dtype: torch.dtype) -> int:
    """Return the rows of the square matrices to time: as many as LARGEST and LONGEST allow."""
    size = SMALLEST
    while size < LARGEST:
        matrix = torch.randn(size, size).to(dtype)
        product = partial(torch.mm, matrix, matrix)
        product()
        if 8 * seconds(product) > LONGEST:
            break
        size *= 2
    return size


def gemm_sides() -> dict[str, Side]:
    """Return the two matrix products, to be interleaved with what they are compared to."""
    sides: dict[str, Side] = {}
    for name, dtype in GEMMS.items():
        matrix = torch.randn(gemm_size(dtype), gemm_size(dtype)).to(dtype)
        sides[name] = partial(torch.mm, matrix, matrix)
    return sides


def gemm_rates(times: dict[str, list[float]]) -> Rates:
    """Turn the times of `gemm_sides` into GFLOP/s."""
    median = medians(times)
    rates = (2e-9 * gemm_size(dtype) ** 3 / median[name] for name, dtype in GEMMS.items())
    return Rates(*rates)


def _resident(field: str) -> int:
    """Return VmRSS (now) or VmHWM (peak) of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def _measure_peak(prepare: Callable[[], Side], sender: Connection) -> None:
    side = prepare()
    side()  # compiles kernels, loads libraries
    ctypes.CDLL(None).malloc_trim(0)  # what the first call freed must not hide the second's use
    Path("/proc/self/clear_refs").write_text("5")  # restarts the peak at the present size
    before = _resident("VmRSS")
    side()
    sender.send(_resident("VmHWM") - before)


def peak_bytes(prepare: Callable[[], Side]) -> int:
    """Return by how many bytes one call raises the peak resident memory of a fresh process.

    prepare: a module-level function (or partial) that allocates the inputs and returns the call.
    Linux only: ru_maxrss would not do, a new process inherits it.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_peak, args=(prepare, sender))
    process.start()
    sender.close()
    peak: int = receiver.recv()
    process.join()
    return peak


def kept_bytes(run: Callable[[], object], inputs: Sequence[Tensor]) -> int:
    """Return the bytes that the operations of a run keep for their backward, besides inputs."""
    known = {x.untyped_storage().data_ptr() for x in inputs}
    kept: dict[int, int] = {}
    alive = []  # storages that die make room for others at their address

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(storage)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        run()
    return sum(kept.values())
