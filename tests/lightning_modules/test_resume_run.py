"""A killed run, continued, ends exactly where an uninterrupted one does."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from run_processes import Runs, last, probe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(stage1_runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The end of an uninterrupted run."""
    run = tmp_path_factory.mktemp("whole")
    assert stage1_runs.fork(run).wait()[0] == 0
    return last(run)


@pytest.mark.parametrize(("after", "workers"), [(4, 0), (12, 2)])
def test_kill_9_and_continue_equals_an_uninterrupted_run(
    after: int, workers: int, whole: dict[str, Any], stage1_runs: Runs, tmp_path: Path
) -> None:
    options = ["--data.num_workers", str(workers)]
    hold = probe("Signpost", {"images": after, "folder": tmp_path, "hold": True})
    killed = stage1_runs.fork(tmp_path, *options, *hold)
    killed.end_at(tmp_path / "seen-0", signal.SIGKILL)
    assert killed.wait()[0] == -signal.SIGKILL
    assert last(tmp_path)["images_seen"] == after
    code, output = stage1_runs.fork(tmp_path, *options).wait()
    assert code == 0, output
    assert "Continuing" in output
    assert_equal(whole, last(tmp_path))


def assert_equal(whole: dict[str, Any], continued: dict[str, Any]) -> None:
    assert whole["images_seen"] == continued["images_seen"] == 48
    assert whole["ShardDataModule"] == continued["ShardDataModule"]
    assert whole["state_dict"].keys() == continued["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, continued["state_dict"][name]), name
    for ours, theirs in zip(whole["optimizer_states"], continued["optimizer_states"], strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        for index, state in ours["state"].items():
            for name, value in state.items():
                assert torch.equal(value, theirs["state"][index][name]), (index, name)
