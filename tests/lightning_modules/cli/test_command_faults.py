import errno
import os
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.multiprocessing.spawn import ProcessRaisedException

from datamodules.errors import DataError
from lightning_modules.cli import verbs
from lightning_modules.cli.faults import exit_code, fault_sentence
from lightning_modules.cli.main import main
from lightning_modules.tools import compare

NUMBERS = [
    *(errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EMFILE),
    *(errno.ENFILE, errno.ENAMETOOLONG, errno.ESTALE, errno.EIO, errno.ENOTDIR, errno.EISDIR),
    *(errno.ELOOP, errno.EBUSY, errno.ETIMEDOUT, errno.ENODEV, errno.EFBIG, errno.EXDEV),
]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_error_of_the_system_has_path_and_reason(number: int) -> None:
    said = fault_sentence(OSError(number, os.strerror(number), "/runs/a.ckpt"))
    assert said is not None
    assert said.startswith(f"/runs/a.ckpt can't be used ({os.strerror(number).lower()})")
    assert said.endswith(".")


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(OSError, match="none") as caught:
        Path("none.txt").read_text()
    assert fault_sentence(caught.value) == "there is no file or folder none.txt."
    assert fault_sentence(FileNotFoundError("There is no file x: check --a.")) == (
        "There is no file x: check --a."
    )


@pytest.mark.parametrize("place", ["/dev/full", "nowhere/a.pt", "."])
def test_checkpoints_that_torch_can_not_write_end_in_a_sentence(place: str) -> None:
    if not Path(place).exists() and "/dev/" in place:
        pytest.skip("this system has no /dev/full")
    with pytest.raises(RuntimeError) as caught:
        torch.save(torch.zeros(1000), place)
    said = fault_sentence(caught.value)
    assert said is not None
    assert "enforce fail" not in said


def test_too_little_memory_is_told() -> None:
    errors: list[BaseException] = [MemoryError()]
    for allocate in (lambda: np.zeros(10**16), lambda: torch.zeros(10**15)):
        with pytest.raises((MemoryError, RuntimeError)) as caught:
            allocate()
        errors.append(caught.value)
    assert {fault_sentence(error) for error in errors} == {
        "there is not enough memory: take smaller pictures, batches or fewer workers."
    }


@pytest.mark.parametrize(
    "error",
    [
        BrokenProcessPool("A process in the process pool was terminated abruptly"),
        RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed."),
        RuntimeError("DataLoader worker (pid(s) 12, 13) exited unexpectedly"),
    ],
)
def test_a_worker_that_was_killed_is_told(error: Exception) -> None:
    assert "a worker process ended suddenly" in str(fault_sentence(error))


def test_the_sentence_of_another_process_is_found_in_its_traceback() -> None:
    text = "-- Process 1 terminated with the following error:\nTraceback (most recent call last):\n"
    told = f'{text}  File "a.py", line 1, in b\ndatamodules.errors.DataError: a.tar is cut off.\n'
    assert fault_sentence(ProcessRaisedException(told, 1, 2)) == "a.tar is cut off."
    bug = f'{text}  File "a.py", line 1, in b\nAssertionError: no\n'
    assert fault_sentence(ProcessRaisedException(bug, 1, 2)) is None


def test_a_message_of_several_lines_becomes_one() -> None:
    assert fault_sentence(DataError("a\n  b.")) == "a b."
    assert fault_sentence(MisconfigurationException("set a\nto b")) == "set a to b"


@pytest.mark.parametrize(
    "error",
    [AssertionError("x"), TypeError("x"), KeyError("x"), RuntimeError("shape"), ValueError()],
)
def test_faults_of_ours_keep_their_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fault_sentence(error) is None

    def broken(runs: list[str]) -> None:
        raise error

    monkeypatch.setitem(verbs.VERBS, "compare", verbs.Verb("x", "x", "", results=None))
    monkeypatch.setattr(verbs.Verb, "load", lambda self: broken)
    with pytest.raises(type(error)):
        main(["compare", "--runs", "a"])


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_output_that_goes_nowhere_ends_the_command(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Closed:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise OSError(number, os.strerror(number))

        flush = write

        def fileno(self) -> int:
            raise OSError

    (tmp_path / "result.json").write_text('{"kid": 1}')
    with monkeypatch.context() as patch:
        patch.setattr(Closed, "flush", lambda self: self.write(""))
        patch.setattr(sys, "stdout", Closed())
        code = main(["compare", "--runs", str(tmp_path)])
    said = capsys.readouterr().err
    if number == errno.EPIPE:
        assert (code, said) == (141, "")
    else:
        assert (code, said.count("\n")) == (2, 1)
        assert "the output can't be used (no space left on device)" in said


def test_streams_that_the_shell_has_closed_are_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "result.json").write_text('{"kid": 1}')
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["compare", "--runs", str(tmp_path)]) == 0
    assert main(["compare", "--runs", str(tmp_path / "none")]) == 2


def test_a_result_that_can_not_be_written_is_printed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "result.json").write_text('{"kid": 1}')

    def full(path: Path, content: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(compare, "write_atomically", full)
    out = str(tmp_path / "table.md")
    assert main(["compare", "--runs", str(tmp_path), "--out", out]) == 2
    said = capsys.readouterr()
    assert "| 1 |" in said.out
    assert said.err == (
        f"wild3d compare: {out} can't be used (no space left on device): free some space and run "
        "the same command again.\n"
    )


def test_a_closed_pipe_that_rich_meets_ends_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def print_table() -> None:
        try:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        except BrokenPipeError:
            raise SystemExit(1)  # noqa: B904

    assert exit_code(print_table, "fit") == 141
    assert capsys.readouterr().err == ""
