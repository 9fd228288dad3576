"""The fuzzer finds what it looks for, and the boundaries have none of it."""

import os
import signal
import time
from pathlib import Path

import pytest
from fuzz_boundaries import BOUNDARIES
from fuzz_mutations import mutate_bytes
from fuzz_run import run
from fuzz_runner import Boundary, fuzz, make_input


def faulty(folder: Path, content: bytes) -> None:
    """Reads a digit: one ends the process, one hangs, others raise or take memory."""
    match content:
        case b"1":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"2":
            time.sleep(60)
        case b"3":
            raise KeyError("three")
        case b"4":
            raise ValueError("four")
        case b"5":
            bytearray(3 << 30)


def boundary(*seeds: bytes) -> Boundary:
    return Boundary("digits", lambda folder: seeds, (mutate_bytes,), faulty, (ValueError,))


def test_ends_hangs_and_foreign_exceptions_are_told_apart(tmp_path: Path) -> None:
    seeds = (b"0", b"1", b"2", b"3", b"4", b"5", b"6")
    found = fuzz(boundary(*seeds), tmp_path, len(seeds), time_limit=1.0)
    assert (found.inputs, found.read, found.refused) == (7, 2, 1)
    assert (found.signals, found.hangs) == ([1], [2])
    assert sorted(found.foreign) == [3, 5]
    assert found.foreign[3].startswith("KeyError at test_fuzz.py:")
    assert found.foreign[5].startswith("MemoryError")
    assert not found.clean


def test_an_input_is_made_again_from_its_number() -> None:
    seeds = [bytes(range(200))]
    first, again, other = (make_input(boundary(), seeds, 0, n) for n in (5, 5, 6))
    assert first == again != other


def test_fuzzing_ends_in_time(tmp_path: Path) -> None:
    endless = Boundary("bytes", lambda folder: [b"0"], (mutate_bytes,), lambda *_: None, ())
    found = fuzz(endless, tmp_path, 10**9, seconds=2.0)
    assert 0 < found.inputs < 10**9
    assert found.clean


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: boundary.name)
def test_a_boundary_reads_the_files_that_mutations_begin_from(
    boundary: Boundary, tmp_path: Path
) -> None:
    boundary.read(tmp_path, boundary.seeds(tmp_path)[0])


@pytest.mark.slow
def test_two_minutes_of_mutated_files_end_no_process_and_raise_nothing_foreign() -> None:
    found = run(inputs=10**9, seed=1, seconds=120, names=[])
    assert {name: findings for name, findings in found.items() if not findings.clean} == {}
