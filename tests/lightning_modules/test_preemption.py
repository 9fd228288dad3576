"""Signals that end a run: of a cluster before it takes the machine away, and of a terminal."""

import os
import pty
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from run_processes import ENVIRONMENT, Forked, Runs, last, probe
from waiting import wait_for

pytestmark = pytest.mark.slow

LONG = ["--model.max_images", "1_000_000", "--trainer.val_check_interval", "1000"]
LONG += ["--last_checkpoint.minutes", "1000"]  # so that only SIGTERM makes it save


def after_12(folder: Path) -> list[str]:
    """Options of a run that tells when it has seen 12 images."""
    return [*LONG, *probe("Signpost", {"images": 12, "folder": folder})]


SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def check_saved(run: Path, output: str, number: signal.Signals = signal.SIGTERM) -> None:
    """The run has saved what it had seen, and says so."""
    seen = last(run)["images_seen"]
    assert seen >= 12
    assert f"{number.name}" in output
    assert f"after {seen:,} images; the same command continues." in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_all_processes_of_a_run_saves_and_ends(
    number: signal.Signals, stage1_runs: Runs, tmp_path: Path
) -> None:
    run = stage1_runs.fork(tmp_path, *after_12(tmp_path), "--data.num_workers", "2")
    wait_for(lambda: (tmp_path / "seen-0").exists() or not run.process.is_alive())
    os.killpg(run.process.pid, number)  # as a terminal does, workers of the loader included
    code, output = run.wait()
    assert code == 128 + number, output
    check_saved(tmp_path, output, number)


def test_an_ignored_signal_does_not_end_a_run(stage1_runs: Runs, tmp_path: Path) -> None:
    # As nohup has it.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        hup = probe("Signalled", {"images": 12, "number": int(signal.SIGHUP)})
        assert stage1_runs.fit(tmp_path, *hup) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert last(tmp_path)["images_seen"] == 48


def test_a_second_ctrl_c_ends_at_once(
    stage1_runs: Runs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    twice = probe("Signalled", {"images": 12, "number": int(signal.SIGINT), "times": 2})
    assert stage1_runs.fit(tmp_path, *LONG, *twice) == 130
    said = capfd.readouterr().err
    assert "Saving after this batch; Ctrl-C again ends at once." in said
    assert "stopped by Ctrl-C (SIGINT)." in said
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
    assert stage1_runs.fit(tmp_path) == 0  # nothing is left that keeps it from beginning again


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("asked", [[0], [1], [0, 1]], ids=["first", "second", "both"])
def test_a_signal_to_any_of_two_processes_ends_both(
    asked: list[int], number: signal.Signals, stage1_runs: Runs, tmp_path: Path
) -> None:
    both: list[Forked] = stage1_runs.fork_two(tmp_path, *after_12(tmp_path))
    for rank in asked:
        both[rank].end_at(tmp_path / f"seen-{rank}", number)
    code, output = both[0].wait()
    assert code == 128 + number
    assert both[1].wait()[0] == 0
    check_saved(tmp_path, output, number)


@pytest.mark.parametrize(
    ("processes", "to_all", "number"),
    [
        (1, False, signal.SIGTERM),
        (2, False, signal.SIGTERM),
        (2, True, signal.SIGTERM),
        (1, True, signal.SIGINT),
        (2, True, signal.SIGINT),
    ],
)
def test_a_signal_ends_all_processes_of_the_command(
    processes: int, to_all: bool, number: signal.Signals, stage1_runs: Runs, tmp_path: Path
) -> None:
    options = [*after_12(tmp_path), "--trainer.devices", str(processes)]
    run = subprocess.Popen(
        stage1_runs.command(tmp_path, *options),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    signposts = [tmp_path / f"seen-{rank}" for rank in range(processes)]
    wait_for(lambda: run.poll() is not None or all(path.exists() for path in signposts))
    if to_all:
        os.killpg(run.pid, number)
    else:
        run.send_signal(number)
    output, _ = run.communicate()
    assert run.returncode == 128 + number, output
    check_saved(tmp_path, output, number)
    wait_for(lambda: not alive(run.pid))


@pytest.mark.parametrize("begun", [True, False], ids=["training", "before"])
def test_a_terminal_that_is_closed_ends_a_run_that_saves(
    begun: bool, stage1_runs: Runs, tmp_path: Path
) -> None:
    command = stage1_runs.command(tmp_path / "run", *after_12(tmp_path))
    process, terminal = pty.fork()
    if process == 0:
        os.execve(command[0], command, ENVIRONMENT)
    place = tmp_path / ("seen-0" if begun else "run")  # made once the settings are read
    os.set_blocking(terminal, False)
    wait_for(lambda: read_on(terminal) or place.exists())
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    if begun:
        assert last(tmp_path / "run")["images_seen"] >= 12
    else:
        assert not (tmp_path / "run").exists()


def read_on(terminal: int) -> None:
    """Take what was printed, so that there is room for more; OSError once nothing will be."""
    with suppress(BlockingIOError):
        os.read(terminal, 1 << 16)


def alive(group: int) -> bool:
    """Any process of the group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
