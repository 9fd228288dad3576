"""A training killed with all its workers alive is continued by the same command at once."""

import signal
import subprocess
from pathlib import Path

import pytest
from run_processes import ENVIRONMENT, Runs, last, launched
from tiny_prior_run import PriorRuns
from waiting import wait_for


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.parametrize("data", ["images", "tokens"])
def test_a_killed_training_continues_at_once(
    data: str, workers: int, ranks: int, stage1_runs: Runs, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    runs = stage1_runs if data == "images" else prior_runs.of("autoregressive")
    command = runs.command(tmp_path, "--data.num_workers", str(workers))
    command += ["--trainer.devices", str(ranks)]
    # Long enough that it is killed in the middle, whatever the machine.
    killed = subprocess.Popen(
        [*command, "--model.max_images", "1_000_000", "--trainer.val_check_interval", "1000"],
        env=ENVIRONMENT,
        start_new_session=True,
    )
    wait_for(lambda: (tmp_path / "checkpoints/last.ckpt").exists() or killed.poll() is not None)
    killed.send_signal(signal.SIGKILL)
    killed.wait()  # its workers, and its other ranks, live on for some seconds
    seen = last(tmp_path)["images_seen"]
    output = launched([*command, "--model.max_images", str(seen + 16)])
    assert f"Continuing {tmp_path}" in output
    assert last(tmp_path)["images_seen"] >= seen + 16
