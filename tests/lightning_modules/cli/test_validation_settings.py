"""Runs that would never validate, or of no batch, are refused before anything is built."""

import math
from pathlib import Path

import pytest
from jsonargparse import Namespace
from run_processes import Runs

from datamodules.errors import DataError
from lightning_modules.cli.validation_settings import check_fit_settings

SHARE = r"it must be a number of batches of at least 1, or a share of all above 0 and at most 1\.$"


def trainer(**changed: object) -> Namespace:
    """Lightning's defaults, as the command has them."""
    settings = {
        "check_val_every_n_epoch": None,
        "val_check_interval": None,
        "limit_train_batches": None,
        "limit_val_batches": None,
    }
    return Namespace(**(settings | changed))


@pytest.mark.parametrize(
    "taken",
    [
        {},
        {"val_check_interval": 1},
        {"val_check_interval": "00:01:00:00"},
        {"val_check_interval": 0.5, "check_val_every_n_epoch": 1},
        {"limit_val_batches": 1, "limit_train_batches": 20},
        {"limit_val_batches": 0.5, "limit_train_batches": 1.0},
        {"limit_val_batches": 20.0},
    ],
)
def test_what_lightning_can_do_is_taken(taken: dict[str, object]) -> None:
    check_fit_settings(trainer(**taken))


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        ({"val_check_interval": 0}, r"val_check_interval is 0, it must be from 1 to"),
        ({"val_check_interval": -1}, r"val_check_interval is -1, it must be from 1 to"),
        ({"val_check_interval": math.nan}, r"val_check_interval is nan, it must be from 1 to"),
        ({"val_check_interval": 0.5}, r"val_check_interval is 0.5, it must be from 1 to"),
        ({"val_check_interval": 2.0}, r"val_check_interval is 2.0, it must be a whole number"),
        (
            {"val_check_interval": 0, "check_val_every_n_epoch": 1},
            r"val_check_interval is 0, it must be from 1 to",
        ),
        ({"check_val_every_n_epoch": 0}, r"check_val_every_n_epoch is 0, it must be from 1 to"),
        ({"limit_val_batches": 0}, rf"limit_val_batches is 0, {SHARE}"),
        ({"limit_val_batches": -1.0}, rf"limit_val_batches is -1.0, {SHARE}"),
        ({"limit_val_batches": 1.5}, rf"limit_val_batches is 1.5, {SHARE}"),
        ({"limit_val_batches": math.nan}, rf"limit_val_batches is nan, {SHARE}"),
        ({"limit_val_batches": math.inf}, rf"limit_val_batches is inf, {SHARE}"),
        ({"limit_train_batches": 0}, rf"limit_train_batches is 0, {SHARE}"),
    ],
)
def test_what_never_comes_is_refused(refused: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError, match=rf"^trainer\.{sentence}"):
        check_fit_settings(trainer(**refused))


@pytest.mark.parametrize("option", ["val_check_interval", "limit_val_batches"])
def test_the_command_says_it_before_it_begins(
    option: str, stage1_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert stage1_runs.fit(run, f"--trainer.{option}", "0") == 2
    assert f"wild3d fit: trainer.{option} is 0" in capsys.readouterr().err
    assert not run.exists()
