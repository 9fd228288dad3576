"""Trainings of stage 1 that are refused before they begin."""

from pathlib import Path
from typing import Any

import pytest
from run_processes import SHORT, Runs, contents
from tiny_checkpoints import spread_model
from tiny_gina3d import tiny_gina3d

from datamodules.build.shapeworld.verb import shapeworld
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.adversarial.stage1_checks import check_data
from lightning_modules.cli.main import main
from lightning_modules.losses.weights import Stage1Weights


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--data.resolution", "8"),
            "takes images of 16 pixels, the data are loaded at 8: make `data.resolution` and the",
        ),
        (
            ("--data.depth", "false", "--model.weights.depth", "[[0, 0.0], [8, 1.0]]"),
            "weights.depth compares with depth, which is not loaded: set `data.depth` to true",
        ),
        (
            ("--trainer.check_val_every_n_epoch", "1", "--trainer.val_check_interval", "1000"),
            "`val_check_interval` (1000) must be less than or equal to the number of the",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused_in_a_sentence(
    options: tuple[str, ...],
    sentence: str,
    stage1_runs: Runs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert stage1_runs.fit(tmp_path / "run", *SHORT, *options) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_depth_is_not_needed_where_none_is_compared(stage1_runs: Runs, tmp_path: Path) -> None:
    options = ("--data.depth", "false", "--model.weights.depth", "0")
    assert stage1_runs.fit(tmp_path / "run", *SHORT, *options) == 0
    assert main(["validate", *stage1_runs.arguments(tmp_path / "run", *options)[1:]]) == 0


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("sheets", "is no folder, the run keeps its sheets there"), ("result.json", "is a folder")],
)
def test_places_of_results_are_tried_before_training(
    place: str, sentence: str, stage1_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    if place == "sheets":
        (run / place).touch()
    else:
        (run / place).mkdir()
    before = contents(run)
    assert stage1_runs.fit(run, *SHORT) == 2
    assert f"{run / place} {sentence}" in capsys.readouterr().err
    assert contents(run) == before


@pytest.fixture(scope="module")
def hidden_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("hidden") / "root")
    shapeworld(root, images=4, val_fraction=0.5, resolution=64, half_hidden=1.0, workers=1)
    return root


def data(root: str, **given: Any) -> ShardDataModule:
    settings: dict[str, Any] = {"mask": True, "rays": True, "batch_size": 2} | given
    module = ShardDataModule(root, 16, num_workers=0, **settings)
    module.setup("fit")
    return module


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rays": False}, r"looks at an image's rays, .* `data\.rays` to true"),
        ({"mask": False}, r"looks at an image's mask, .* `data\.mask` to true"),
        ({"batch_size": 1}, r"further_hidden is 0\.5, .* `data\.batch_size` to 2 or more"),
    ],
)
def test_what_the_model_looks_at_must_be_loaded(
    hidden_root: str, given: dict[str, Any], sentence: str
) -> None:
    model, weights = tiny_gina3d(), Stage1Weights(depth=0.0)
    check_data(model, weights, 0.5, data(hidden_root), "fit")
    with pytest.raises(DataError, match=sentence):
        check_data(model, weights, 0.5, data(hidden_root, **given), "fit")


def test_masks_are_needed_to_hide_objects_further(hidden_root: str) -> None:
    model, weights = spread_model(), Stage1Weights(depth=0.0)
    without = data(hidden_root, mask=False)
    check_data(model, weights, 0.0, without, "fit")
    check_data(model, weights, 0.5, without, "validate")
    with pytest.raises(DataError, match=r"further_hidden is 0\.5, and masks.*`data\.mask` to true"):
        check_data(model, weights, 0.5, without, "fit")
