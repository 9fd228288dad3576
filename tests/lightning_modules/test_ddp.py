"""Two processes train one run, and one process continues it."""

import json
import sys
from pathlib import Path

import pytest
from run_processes import Runs, last, launched
from tiny_gan_run import GANRuns
from tiny_prior_run import PriorRuns

pytestmark = pytest.mark.slow

SHARDED = json.dumps({"class_path": "lightning_modules.training.sharding.ShardedStrategy"})
TWO = ["--trainer.devices", "2", "--model.max_images", "32"]


def continue_alone(runs: Runs, run: Path, data: str) -> None:
    """Check what two processes left after 32 images, and go on to 48 with one."""
    first = last(run)
    assert first["images_seen"] == first[data]["images_seen"] == 32
    assert runs.fit(run, "--model.max_images", "48") == 0
    assert json.loads((run / "result.json").read_text())["images_seen"] == 48


def test_two_ranks_train_and_one_continues(
    stage1_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage1_runs.fit_in_two(tmp_path, "--model.max_images", "32")
    assert any(name.startswith("adversaries.novel") for name in last(tmp_path)["state_dict"])
    continue_alone(stage1_runs, tmp_path, "ShardDataModule")
    assert "Continuing" in capsys.readouterr().out


def test_the_command_starts_both_ranks_of_an_autoencoder(stage1_runs: Runs, tmp_path: Path) -> None:
    stage1_runs.launch(tmp_path, *TWO)
    continue_alone(stage1_runs, tmp_path, "ShardDataModule")


def test_the_command_starts_both_ranks_of_a_gan(tiny_root: Path, tmp_path: Path) -> None:
    runs = GANRuns.write(tmp_path, tiny_root)
    runs.launch(tmp_path / "run", *TWO)
    continue_alone(runs, tmp_path / "run", "ShardDataModule")


@pytest.mark.parametrize("strategy", ["ddp", SHARDED], ids=["ddp", "sharded"])
def test_the_command_starts_both_ranks_of_a_prior(
    strategy: str, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    runs = prior_runs.of("autoregressive")
    runs.launch(tmp_path, *TWO, "--trainer.strategy", strategy)
    continue_alone(runs, tmp_path, "TokenDataModule")


def test_torchrun_starts_the_command_once_for_every_rank(stage1_runs: Runs, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc_per_node", "2", "--no-python"]
    # Without the two dashes it takes `--run` for an option of its own.
    launched([*torchrun, "--", *stage1_runs.command(tmp_path, *TWO)])
    continue_alone(stage1_runs, tmp_path, "ShardDataModule")
