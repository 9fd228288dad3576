"""SIGTERM, as a cluster sends it before it takes the machine away."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

WILD3D = [sys.executable, "-m", "lightning_modules.cli", "fit"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("processes", "to_all"),
    [(1, False), (2, False), (2, True)],
    ids=["alone", "first of two", "both of two"],
)
def test_sigterm_saves_and_ends_all_processes(
    processes: int, to_all: bool, tiny_root: Path, tiny_config: Path, tmp_path: Path
) -> None:
    last = tmp_path / "checkpoints" / "last.ckpt"
    arguments = ["--config", str(tiny_config), "--run", str(tmp_path)]
    arguments += ["--data.root", str(tiny_root), "--model.max_images", "1_000_000"]
    arguments += ["--trainer.val_check_interval", "1000", "--trainer.devices", str(processes)]
    strategy = ["--trainer.strategy", "ddp_find_unused_parameters_true"] * (processes > 1)
    run = subprocess.Popen(
        [*WILD3D, *arguments, *strategy, "--last_checkpoint.minutes", "0.01"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not last.exists() and run.poll() is None:
        time.sleep(0.01)
    before = torch.load(last, weights_only=True)["images_seen"]
    time.sleep(1)
    if to_all:
        os.killpg(run.pid, signal.SIGTERM)
    else:
        run.terminate()
    output, _ = run.communicate(timeout=60)

    seen = torch.load(last, weights_only=True)["images_seen"]
    assert run.returncode == 143
    assert seen > before
    assert f"Stopped by SIGTERM after {seen:,} images" in output
    assert ends_soon(run.pid), "a process is left behind"


def ends_soon(group: int) -> bool:
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
