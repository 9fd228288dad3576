"""SIGTERM, as a cluster sends it before it takes the machine away."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from run_processes import ENVIRONMENT, Forked, Runs, last, probe
from waiting import wait_for

LONG = ["--model.max_images", "1_000_000", "--trainer.val_check_interval", "1000"]
LONG += ["--last_checkpoint.minutes", "1000"]  # so that only SIGTERM makes it save
STOPPED = 128 + signal.SIGTERM


def after_12(folder: Path) -> list[str]:
    """Options of a run that tells when it has seen 12 images."""
    return [*LONG, *probe("Signpost", {"images": 12, "folder": folder})]


def check_saved(run: Path, output: str) -> None:
    """The run has saved what it had seen, and says so."""
    seen = last(run)["images_seen"]
    assert seen >= 12
    assert f"Stopped by SIGTERM after {seen:,} images" in output


def test_sigterm_saves_and_ends(stage1_runs: Runs, tmp_path: Path) -> None:
    run = stage1_runs.fork(tmp_path, *after_12(tmp_path))
    run.end_at(tmp_path / "seen-0", signal.SIGTERM)
    code, output = run.wait()
    assert code == STOPPED
    check_saved(tmp_path, output)


@pytest.mark.parametrize("asked", [[0], [1], [0, 1]], ids=["first", "second", "both"])
def test_sigterm_to_any_of_two_processes_ends_both(
    asked: list[int], stage1_runs: Runs, tmp_path: Path
) -> None:
    both: list[Forked] = stage1_runs.fork_two(tmp_path, *after_12(tmp_path))
    for rank in asked:
        both[rank].end_at(tmp_path / f"seen-{rank}", signal.SIGTERM)
    code, output = both[0].wait()
    assert code == STOPPED
    assert both[1].wait()[0] == 0
    check_saved(tmp_path, output)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "to_all"),
    [(1, False), (2, False), (2, True)],
    ids=["alone", "first of two", "both of two"],
)
def test_sigterm_ends_all_processes_of_the_command(
    processes: int, to_all: bool, stage1_runs: Runs, tmp_path: Path
) -> None:
    options = [*after_12(tmp_path), "--trainer.devices", str(processes)]
    run = subprocess.Popen(
        stage1_runs.command(tmp_path, *options),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signposts = [tmp_path / f"seen-{rank}" for rank in range(processes)]
    wait_for(lambda: run.poll() is not None or all(path.exists() for path in signposts))
    if to_all:
        os.killpg(run.pid, signal.SIGTERM)
    else:
        run.terminate()
    output, _ = run.communicate()
    assert run.returncode == STOPPED
    check_saved(tmp_path, output)
    wait_for(lambda: not alive(run.pid))


def alive(group: int) -> bool:
    """Any process of the group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
