"""A killed run, continued, ends exactly where an uninterrupted one does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

WILD3D = [sys.executable, "-m", "lightning_modules.cli", "fit"]


def arguments(root: Path, config: Path, run: Path) -> list[str]:
    return ["--config", str(config), "--run", str(run), "--data.root", str(root)]


def load(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_kill_9_and_continue_equals_an_uninterrupted_run(
    tiny_root: Path, tiny_config: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(
        [*WILD3D, *arguments(tiny_root, tiny_config, whole)], env=environment, check=True
    )

    command = [*WILD3D, *arguments(tiny_root, tiny_config, killed)]
    process = subprocess.Popen(command, env=environment)
    while not (killed / "checkpoints" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = load(killed)["images_seen"]
    assert 0 < seen < 48, f"killed after {seen} of 48 images: nothing left to continue"

    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "Continuing" in output.stdout
    assert_equal(load(whole), load(killed))


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
