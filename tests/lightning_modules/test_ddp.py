"""Two processes train one adversarial run, and one process continues it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

WILD3D = [sys.executable, "-m", "lightning_modules.cli", "fit"]


def fit(arguments: list[str]) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*WILD3D, *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_two_ranks_train_and_one_continues(
    tiny_root: Path, tiny_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["--config", str(tiny_config), "--run", str(run), "--data.root", str(tiny_root)]
    strategy = ["--trainer.strategy", "ddp_find_unused_parameters_true"]
    fit([*arguments, *strategy, "--trainer.devices", "2", "--model.max_images", "32"])
    first = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert first["images_seen"] == first["ShardDataModule"]["images_seen"] == 32
    assert any(name.startswith("adversaries.novel") for name in first["state_dict"])

    output = fit([*arguments, "--model.max_images", "48"])
    assert "Continuing" in output
    assert json.loads((run / "result.json").read_text())["images_seen"] == 48
