"""Inputs fed to a boundary in child processes with a memory cap and a time limit.

A child counts in shared memory, so that its parent knows the input that ended it. Input `n` of a
boundary depends on the seed, its name and `n` alone, and can be made again.
"""

import ctypes
import multiprocessing
import os
import resource
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fuzz_mutations import Mutation

MEMORY_CAP = 1 << 30
"""Bytes that an input may take beyond what the process has before it."""

TIME_LIMIT = 20.0
"""Seconds that an input may take on a busy machine."""

_POLL = 0.05


@dataclass(frozen=True)
class Boundary:
    """One place that reads what users download.

    Args:
        seeds: makes valid files, given an empty folder.
        mutations: ways to change them; one is drawn for each input.
        read: given the folder and an input, reads it as the boundary does.
        allowed: what it may raise.
    """

    name: str
    seeds: Callable[[Path], Sequence[bytes]]
    mutations: Sequence[Mutation]
    read: Callable[[Path, bytes], object]
    allowed: tuple[type[Exception], ...]


@dataclass
class Findings:
    """What came of the inputs of a boundary; inputs are told by their numbers."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    signals: list[int] = field(default_factory=list)
    hangs: list[int] = field(default_factory=list)
    foreign: dict[int, str] = field(default_factory=dict)
    peak_bytes: int = 0

    @property
    def clean(self) -> bool:
        """Whether every input was read or refused as it should be."""
        return not (self.signals or self.hangs or self.foreign)


class Counters(ctypes.Structure):
    """What a child has done so far, in memory that it shares with its parent."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("number", "read", "refused", "peak"))


@dataclass(frozen=True)
class Plan:
    """Which inputs a child reads: from `start` to `stop`, until the clock shows `end`."""

    boundary: Boundary
    folder: Path
    seed: int
    start: int
    stop: int
    end: float


def make_input(boundary: Boundary, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Input `number` of a boundary; the first are the seeds themselves."""
    if number < len(seeds):
        return seeds[number]
    rng = Random(f"{seed} {boundary.name} {number}")
    return rng.choice(boundary.mutations)(rng.choice(seeds), rng)


def fuzz(
    boundary: Boundary,
    folder: Path,
    count: int,
    seed: int = 0,
    seconds: float = float("inf"),
    time_limit: float = TIME_LIMIT,
) -> Findings:
    """Feed inputs to a boundary until there were `count`, or `seconds` are over."""
    findings, end = Findings(), time.monotonic() + seconds
    while findings.inputs < count and time.monotonic() < end:
        plan = Plan(boundary, folder, seed, findings.inputs, count, end)
        _one_child(plan, time_limit, findings)
    return findings


def _one_child(plan: Plan, time_limit: float, findings: Findings) -> None:
    """Run a child until it is done or ended, and add what it found."""
    context = multiprocessing.get_context("fork")
    counters = context.Value(Counters, plan.start, 0, 0, 0, lock=False)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(plan, counters, sender))
    child.start()
    sender.close()
    ended = _listen(receiver, counters, time_limit, findings)
    if not ended:
        findings.hangs.append(counters.number)
        child.kill()
    child.join()
    if ended and child.exitcode != 0:
        findings.signals.append(counters.number)
    findings.inputs = counters.number + (child.exitcode != 0)
    findings.read += counters.read
    findings.refused += counters.refused
    findings.peak_bytes = max(findings.peak_bytes, counters.peak)


def _listen(receiver: Any, counters: Counters, time_limit: float, findings: Findings) -> bool:
    """Take what a child tells until it ends; False once an input takes longer than the limit."""
    seen, since = counters.number, time.monotonic()
    while True:
        if receiver.poll(_POLL):
            try:
                number, told = receiver.recv()
            except EOFError:
                return True
            findings.foreign[number] = told
        elif counters.number != seen:
            seen, since = counters.number, time.monotonic()
        elif time.monotonic() - since > time_limit:
            return False


def _child(plan: Plan, counters: Counters, sender: Any) -> None:
    """Read inputs from `start` on; leave after one that took much memory."""
    _be_quiet()
    folder = plan.folder / "child"
    folder.mkdir(exist_ok=True)
    seeds = plan.boundary.seeds(folder)
    limit = _address_space() + MEMORY_CAP
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = _peak()
    while counters.number < plan.stop and time.monotonic() < plan.end:
        content = make_input(plan.boundary, seeds, plan.seed, counters.number)
        told = _read(plan.boundary, folder, content, counters)
        if told is not None:
            sender.send((counters.number, told))
        counters.peak = max(counters.peak, _peak() - before)
        counters.number += 1
        if counters.peak > MEMORY_CAP // 2:
            break


def _read(boundary: Boundary, folder: Path, content: bytes, counters: Counters) -> str | None:
    """Read an input; returns what was raised that must not be, and where."""
    try:
        boundary.read(folder, content)
        counters.read += 1
    except boundary.allowed:
        counters.refused += 1
    except BaseException as error:  # whatever it is
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return f"{type(error).__name__} at {where}: {error}"[:300]
    return None


def _be_quiet() -> None:
    """Send what libraries print, from C as well, to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
