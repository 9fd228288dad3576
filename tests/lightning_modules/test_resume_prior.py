"""A stopped run of a prior, continued, ends exactly where an uninterrupted one does, although
dropout, masks and left-out conditions are random."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from run_processes import last, probe
from tiny_prior_run import MAX_IMAGES, Kind, PriorRuns

pytestmark = pytest.mark.slow


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
    runs, whole, run = prior_runs.of("autoregressive"), tmp_path / "whole", tmp_path / "run"
    assert runs.fit(whole) == 0
    killed = runs.fork(run, *probe("Signpost", {"images": 12, "folder": tmp_path, "hold": True}))
    killed.end_at(tmp_path / "seen-0", signal.SIGKILL)
    assert killed.wait()[0] == -signal.SIGKILL
    assert last(run)["images_seen"] == 12
    code, output = runs.fork(run).wait()
    assert code == 0, output
    assert "Continuing" in output
    assert_equal(last(whole), last(run))


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
