"""A killed run, continued, ends exactly where an uninterrupted one does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

WILD3D = [sys.executable, "-m", "lightning_modules.cli", "fit"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def arguments(root: Path, config: Path, run: Path) -> list[str]:
    return ["--config", str(config), "--run", str(run), "--data.root", str(root)]


def load(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def whole(
    tiny_root: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The end of an uninterrupted run."""
    run = tmp_path_factory.mktemp("whole")
    command = [*WILD3D, *arguments(tiny_root, tiny_config, run)]
    subprocess.run(command, env=ENVIRONMENT, check=True)
    return load(run)


@pytest.mark.parametrize(("after", "workers"), [(4, 0), (12, 2)])
def test_kill_9_and_continue_equals_an_uninterrupted_run(
    after: int,
    workers: int,
    whole: dict[str, Any],
    tiny_root: Path,
    tiny_config: Path,
    tmp_path: Path,
) -> None:
    command = [*WILD3D, *arguments(tiny_root, tiny_config, tmp_path)]
    command += ["--data.num_workers", str(workers)]
    process = subprocess.Popen(command, env=ENVIRONMENT)
    while images_seen(tmp_path) < after and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = images_seen(tmp_path)
    assert after <= seen < 48, f"killed after {seen} of 48 images: nothing left to continue"

    output = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert "Continuing" in output.stdout
    assert_equal(whole, load(tmp_path))


def images_seen(run: Path) -> int:
    return load(run)["images_seen"] if (run / "checkpoints" / "last.ckpt").exists() else 0


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
