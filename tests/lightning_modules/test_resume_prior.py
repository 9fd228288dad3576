"""A stopped run of a prior, continued, ends exactly where an uninterrupted one does, although
dropout, masks and left-out conditions are random."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_prior_run import ENVIRONMENT, MAX_IMAGES, Kind, PriorRuns, last


@pytest.mark.parametrize("kind", ["autoregressive", "masked"])
def test_stop_and_continue_equals_an_uninterrupted_run(
    kind: Kind, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    for run, stops in (("whole", []), ("parts", ["1", "5", "9"])):
        for stop in stops:
            assert prior_runs.fit(kind, tmp_path / run, "--trainer.max_steps", stop) == 0
            assert last(tmp_path / run)["images_seen"] == 4 * int(stop)
        assert prior_runs.fit(kind, tmp_path / run) == 0
    assert_equal(last(tmp_path / "whole"), last(tmp_path / "parts"))


def test_kill_9_and_continue_equals_an_uninterrupted_run(
    prior_runs: PriorRuns, tmp_path: Path
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    prior_runs.launch("autoregressive", whole)
    process = subprocess.Popen(prior_runs.command("autoregressive", run), env=ENVIRONMENT)
    while images_seen(run) < 12 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = images_seen(run)
    assert 12 <= seen < MAX_IMAGES, f"killed after {seen} images: nothing left to continue"
    assert "Continuing" in prior_runs.launch("autoregressive", run)
    assert_equal(last(whole), last(run))


def images_seen(run: Path) -> int:
    return last(run)["images_seen"] if (run / "checkpoints" / "last.ckpt").exists() else 0


def assert_equal(whole: dict[str, Any], continued: dict[str, Any]) -> None:
    assert whole["images_seen"] == continued["images_seen"] == MAX_IMAGES
    assert whole["TokenDataModule"] == continued["TokenDataModule"]
    assert whole["state_dict"].keys() == continued["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, continued["state_dict"][name]), name
    (ours,), (theirs,) = whole["optimizer_states"], continued["optimizer_states"]
    assert ours["state"].keys() == theirs["state"].keys()
    for index, state in ours["state"].items():
        for name, value in state.items():
            assert torch.equal(value, theirs["state"][index][name]), (index, name)
