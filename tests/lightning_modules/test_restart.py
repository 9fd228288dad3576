"""A training killed with all its workers alive is continued by the same command at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_prior_run import PriorRuns

WILD3D = [sys.executable, "-m", "lightning_modules.cli", "fit"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.parametrize("data", ["images", "tokens"])
def test_a_killed_training_continues_at_once(
    data: str,
    workers: int,
    ranks: int,
    tiny_root: Path,
    tiny_config: Path,
    prior_runs: PriorRuns,
    tmp_path: Path,
) -> None:
    if data == "images":
        command = [*WILD3D, "--config", str(tiny_config), "--run", str(tmp_path)]
        command += ["--data.root", str(tiny_root)]
    else:
        command = prior_runs.command("autoregressive", tmp_path)
    command += ["--data.num_workers", str(workers), "--trainer.devices", str(ranks)]
    # Long enough that it is killed in the middle, whatever the machine.
    killed = subprocess.Popen(
        [*command, "--model.max_images", "1_000_000", "--trainer.val_check_interval", "1000"],
        env=ENVIRONMENT,
        start_new_session=True,
    )
    last = tmp_path / "checkpoints" / "last.ckpt"
    while not last.exists() and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()  # its workers, and its other ranks, live on for some seconds
    seen = torch.load(last, weights_only=True)["images_seen"]
    command += ["--model.max_images", str(seen + 16)]
    again = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0
    assert f"Continuing {tmp_path}" in output
    assert torch.load(last, weights_only=True)["images_seen"] >= seen + 16
