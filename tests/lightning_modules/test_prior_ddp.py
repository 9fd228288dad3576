"""How many processes train a prior, and how they share its weights, does not change what it learns.

Dropout and masks belong to the ranks and differ, so the autoregressive prior is trained without.
"""

import json
import shutil
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from run_processes import last, probe
from tiny_prior_run import MAX_IMAGES, PriorRuns, result

from lightning_modules.inference.checkpoint_file import read_checkpoint
from lightning_modules.inference.loading import averaged_model

pytestmark = pytest.mark.slow

SAME_ANYWHERE = ["--model.class_path", "run_probes.SteadyStage2"]
SAME_ANYWHERE += ["--model.prior.dropout", "0", "--model.dropout.everything", "0"]
SAME_ANYWHERE += ["--model.dropout.each", "0"]
FIGURES = ("bits_per_token", "accuracy", "unigram_bits_per_token")


def sharded(strategy: str = "lightning_modules.training.sharding.ShardedStrategy") -> list[str]:
    return ["--trainer.strategy", json.dumps({"class_path": strategy})]


def assert_same_weights(ours: Path, theirs: Path) -> None:
    """Both runs ended alike: weights moved by 0.01 and more, float32 rounds them by 1e-7."""
    first, second = last(ours), last(theirs)
    assert first["images_seen"] == second["images_seen"] == MAX_IMAGES
    assert first["TokenDataModule"] == second["TokenDataModule"]
    torch.testing.assert_close(first["state_dict"], second["state_dict"], rtol=1e-5, atol=2e-6)
    for name in FIGURES:
        assert result(ours)[name] == pytest.approx(result(theirs)[name], abs=2e-4)


@pytest.fixture(scope="module")
def alone(prior_runs: PriorRuns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process with batches of 8."""
    run = tmp_path_factory.mktemp("alone")
    assert prior_runs.fit("autoregressive", run, *SAME_ANYWHERE, "--data.batch_size", "8") == 0
    return run


def test_two_processes_learn_what_one_does_and_end_alike(
    alone: Path, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    weights = probe("RankWeights", {"folder": tmp_path / "ranks"})
    ddp = ["--trainer.strategy", "ddp"]
    prior_runs.of("autoregressive").fit_in_two(tmp_path, *SAME_ANYWHERE, *ddp, *weights)
    assert_same_weights(alone, tmp_path)
    first, second = (
        torch.load(tmp_path / "ranks" / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_two_processes_that_divide_the_weights_learn_the_same_and_may_be_continued(
    alone: Path, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    run, continued = tmp_path / "run", tmp_path / "continued"
    options = [*SAME_ANYWHERE, *sharded()]
    prior_runs.of("autoregressive").fit_in_two(run, *options, "--trainer.max_steps", "3")
    assert last(run)["images_seen"] == 24
    shutil.copytree(run, continued)

    assert "Continuing" in prior_runs.of("autoregressive").fit_in_two(run, *options)
    assert_same_weights(alone, run)
    assert all((run / "checkpoints" / name).is_file() for name in ("last.ckpt", "best.ckpt"))
    ours, theirs = (iio.imread(folder / "sheets" / "000000048.png") for folder in (run, alone))
    assert ours.shape == theirs.shape
    divided, whole = (
        averaged_model(read_checkpoint(folder / "checkpoints/last.ckpt")) for folder in (run, alone)
    )
    assert divided.recipe() == whole.recipe()
    torch.testing.assert_close(divided.state_dict(), whole.state_dict(), rtol=1e-5, atol=2e-6)

    one = [*SAME_ANYWHERE, "--data.batch_size", "8"]
    assert prior_runs.fit("autoregressive", continued, *one) == 0
    assert_same_weights(alone, continued)


def test_weights_of_one_process_may_be_divided_afterwards(
    alone: Path, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    one = [*SAME_ANYWHERE, "--data.batch_size", "8", "--trainer.max_steps", "3"]
    assert prior_runs.fit("autoregressive", tmp_path, *one) == 0
    prior_runs.of("autoregressive").fit_in_two(tmp_path, *SAME_ANYWHERE, *sharded())
    assert_same_weights(alone, tmp_path)


def test_validations_that_save_nothing_leave_the_weights_divided(
    alone: Path, prior_runs: PriorRuns, tmp_path: Path
) -> None:
    # Saving gathers and divides the weights by itself; here no validation is the best after the
    # first, no sheet is drawn and nothing is saved in between.
    rarely = ["--trainer.val_check_interval", "1", "--best_checkpoint.mode", "max"]
    rarely += ["--last_checkpoint.minutes", "60", "--sheets.every_images", "1000"]
    options = [*SAME_ANYWHERE, *sharded(), *rarely]
    prior_runs.of("autoregressive").fit_in_two(tmp_path, *options)
    assert_same_weights(alone, tmp_path)


def test_states_of_optimisers_are_checked_before_weights_are_divided(
    alone: Path, prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    content = last(alone)
    content["optimizer_states"][0]["state"][0]["exp_avg"] = torch.zeros(3)
    torch.save(content, tmp_path / "checkpoints" / "last.ckpt")
    assert prior_runs.fit("autoregressive", tmp_path, *SAME_ANYWHERE, *sharded()) == 2
    assert "exp_avg is no finite array of shape" in capsys.readouterr().err
