"""Runs of both priors as a user starts them."""

import shutil
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
import yaml
from run_processes import last
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_model import SIDE
from tiny_prior_run import MAX_IMAGES, PriorRuns, result

from lightning_modules.cli.main import main
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.pictures.drawing import GAP
from lightning_modules.pictures.stage2_pictures import SEEDS
from lightning_modules.stage2 import Stage2
from models.priors.sampling import TokenSampling


@pytest.fixture(scope="module", params=["autoregressive", "masked"])
def run(
    request: pytest.FixtureRequest, prior_runs: PriorRuns, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run of 48 images, in a folder named like its prior; do not alter."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    assert prior_runs.fit(request.param, folder) == 0
    return folder


def test_a_run_leaves_its_figures_and_says_what_they_mean(run: Path) -> None:
    found = result(run)
    assert found["images_seen"] == MAX_IMAGES
    assert 0 < found["bits_per_token"] < 6
    assert 0 <= found["accuracy"] <= 1
    assert 0 < found["unigram_bits_per_token"] <= 3  # of 8 codes
    assert found["protocol"] == Stage2.protocol
    assert all(name in found["protocol"] for name in ("bits_per_token", "accuracy", "unigram"))
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["prior"]["init_args"]["codes"] == 8


def test_curves_and_samples_are_drawn_over_images(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    measured = {"val/bits_per_token", "val/accuracy", "val/unigram_bits_per_token"}
    trained = {"train/bits_per_token", "train/accuracy", "train/grad_norm", "loss/total"}
    others = {"throughput/images_per_second", "data/skipped"}
    assert measured | trained | others <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("loss/total")] == [8, 16, 24, 32, 40, 48]
    assert {"samples", "novel_views"} <= set(tags["images"])
    assert {event.step for event in events.Images("samples")} == {16, 32, 48}


def test_sheets_of_samples_are_drawn_along_the_way_and_at_the_end(run: Path) -> None:
    paths = sorted((run / "sheets").iterdir())
    assert [path.name for path in paths] == ["000000016.png", "000000032.png", "000000048.png"]
    tile = SIDE + GAP
    for path in paths:  # one class, its name at the left
        height, width, _ = iio.imread(path).shape
        assert height == tile
        assert width > (SEEDS + 1) * tile


def test_checkpoints_hold_no_code_and_name_their_prior_and_stage1(
    run: Path, prior_runs: PriorRuns
) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        path = run / "checkpoints" / name
        checkpoint = torch.load(path, weights_only=True)
        assert run.name in checkpoint["model"]["class_path"]
        assert checkpoint["stage1"]["path"] == prior_runs.stage1
        loaded = open_maker(str(path))
        assert isinstance(loaded, PriorScenes)
        assert loaded.names == ("disc",)
        assert loaded.sampling == TokenSampling()
        assert loaded.generator.prior.recipe() == checkpoint["model"]
    assert not list(run.rglob("*.partial"))
    # The weights of the stage-1 model stay in its own checkpoint.
    assert {name.split(".")[0] for name in checkpoint["state_dict"]} == {"prior", "ema"}


def test_a_finished_run_started_again_measures_and_ends(
    run: Path, prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    (again / "result.json").unlink()
    kind = run.name
    assert prior_runs.fit(kind, again) == 0  # type: ignore[arg-type]
    assert "Continuing" in capsys.readouterr().out
    before, after = last(run), last(again)
    assert after["images_seen"] == MAX_IMAGES
    assert all(torch.equal(v, after["state_dict"][k]) for k, v in before["state_dict"].items())
    figures, repeated = result(run), result(again)
    for name in ("bits_per_token", "accuracy", "unigram_bits_per_token"):
        assert figures[name] == repeated[name]


def test_validate_prints_the_figures_of_a_checkpoint(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, checkpoint = str(run / "config.yaml"), str(run / "checkpoints" / "last.ckpt")
    assert main(["validate", "--config", config, "--ckpt_path", checkpoint]) == 0
    told = capsys.readouterr().out
    assert f"{result(run)['bits_per_token']:,}" in told
    assert "unigram_bits_per_token" in told
    assert main(["validate", "--config", config]) == 0  # the best of the run
    assert "best.ckpt" in "".join(capsys.readouterr().out.split())  # however it is wrapped
