import json
from pathlib import Path

import pytest
import torch
import torch._dynamo.utils
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import write_shards
from torch import nn

from lightning_modules.cli import hardware
from lightning_modules.cli.main import main, print_places
from lightning_modules.training import base
from lightning_modules.training.compilation import compile_blocks


@pytest.fixture(scope="module")
def run(tiny_root: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 48 images."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = ["--config", str(tiny_config), "--run", str(folder), "--data.root", str(tiny_root)]
    assert main(["fit", *arguments]) == 0
    return folder


def test_a_run_leaves_its_result_configuration_and_versions(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["images_seen"] == 48
    assert 0 < result["psnr"] < 100
    assert -1 <= result["disparity_correlation"] <= 1
    assert 0 < result["codebook_usage"] <= 1
    assert result["seconds"] > 0
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["max_images"] == 48
    assert json.loads((run / "versions.json").read_text())["packages"]["torch"] in torch.__version__


def test_curves_are_drawn_over_images(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"loss/l2", "loss/depth", "val/psnr", "throughput/images_per_second"} <= set(tags)
    assert [event.step for event in events.Scalars("loss/l2")] == [8, 16, 24, 32, 40, 48]
    assert {"reconstruction", "novel_views"} <= set(events.Tags()["images"])


def test_sheets_are_drawn_along_the_way_and_at_the_end(run: Path) -> None:
    names = {path.name for path in (run / "sheets").iterdir()}
    assert names == {"000000016.png", "000000032.png", "000000048.png"}


def test_checkpoints_hold_no_code(run: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        checkpoint = torch.load(run / "checkpoints" / name, weights_only=True)
        assert checkpoint["model"]["class_path"] == "models.vq3d.VQ3D"
    assert not list(run.rglob("*.partial"))


def test_a_finished_run_started_again_measures_and_ends(
    run: Path, tiny_root: Path, tiny_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    arguments = ["--config", str(tiny_config), "--run", str(run), "--data.root", str(tiny_root)]
    assert main(["fit", *arguments]) == 0
    assert "Continuing" in capsys.readouterr().out
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/l2")][-1] == 48
    after = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert after["images_seen"] == 48
    assert all(torch.equal(value, after["state_dict"][name]) for name, value in before.items())


def test_validate_measures_the_whole_split_of_any_data_set(
    run: Path, tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "other", train=(7,), val=(5,))
    checkpoint = ["--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    data = ["--data.root", str(tmp_path / "other"), "--run", str(tmp_path / "run")]
    other = ["--config", str(tiny_config), *data, *checkpoint]
    assert main(["validate", *other]) == 0
    whole = capsys.readouterr().out.strip()
    assert "psnr" in whole
    assert main(["validate", *other, "--trainer.limit_val_batches", "1"]) == 0
    assert capsys.readouterr().out.strip() == whole


def test_a_data_set_without_validation_images_trains_to_the_end(
    tiny_config: Path, tmp_path: Path
) -> None:
    write_shards(tmp_path / "shards", train=(12,), val=())
    arguments = ["--config", str(tiny_config), "--data.root", str(tmp_path / "shards")]
    short = ["--model.max_images", "16", "--run", str(tmp_path / "run")]
    assert main(["fit", *arguments, *short]) == 0
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["images_seen"] == 16
    assert json.loads((tmp_path / "run" / "result.json").read_text())["images_seen"] == 16


def test_validate_prints_the_figures_of_a_checkpoint(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    config = str(run / "config.yaml")
    assert main(["validate", "--config", config, "--ckpt_path", checkpoint]) == 0
    assert main(["validate", "--config", config]) == 0  # the best of the run
    assert "psnr" in capsys.readouterr().out


def test_reconstruct_makes_sheet_video_and_mesh(run: Path, tmp_path: Path) -> None:
    photo = next((run / "sheets").iterdir())
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    options = ["--checkpoint", checkpoint, "--images", str(photo), "--out", str(tmp_path)]
    small = ["--size", "16", "--frames", "2", "--mesh_resolution", "16", "--mesh_level", "0.3"]
    assert main(["reconstruct", *options, *small]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{photo.stem}-sheet.png", f"{photo.stem}-wiggle.mp4", f"{photo.stem}.glb"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model.max_image", "3"], "Did you mean 'max_images'?"),
        (["--model.weights.l3", "3"], "Did you mean 'weights.l2'?"),
        (["--sheet.images", "3"], "Did you mean 'sheets.images'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    arguments: list[str], sentence: str, tiny_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config", str(tiny_config), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_missing_shards_end_in_one_sentence(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(tiny_config), "--run", str(tmp_path / "run")]
    assert main(["fit", *arguments, "--data.root", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err


def test_settings_that_do_not_fit_end_in_one_sentence(
    tiny_config: Path, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(tiny_config), "--run", str(tmp_path)]
    patch = ["--data.root", str(tiny_root), "--model.rays.patch", "32"]
    assert main(["fit", *arguments, *patch]) == 2
    written = capsys.readouterr().err
    assert "rays.patch is 32" in written
    assert written.startswith("wild3d fit: ")
    assert written.count("\n") == 1


@pytest.mark.slow
def test_a_compiled_run_is_stored_as_others_are(
    run: Path,
    tiny_config: Path,
    tiny_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []

    def compile_traced(model: nn.Module) -> None:
        compiled.extend(compile_blocks(model, "eager"))  # the trace alone, run as it is

    monkeypatch.setattr(base, "compile_blocks", compile_traced)
    arguments = ["--config", str(tiny_config), "--data.root", str(tiny_root)]
    short = ["--model.max_images", "16", "--run", str(tmp_path)]
    assert main(["fit", *arguments, *short, "--compile"]) == 0
    assert len(compiled) > 2
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 2
    found, expected = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (tmp_path, run)
    )
    assert found["state_dict"].keys() == expected["state_dict"].keys()
    assert found["model"] == expected["model"]
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["compile"] is True
    assert yaml.safe_load((run / "config.yaml").read_text())["compile"] is False
    assert main(["validate", "--config", str(tmp_path / "config.yaml")]) == 0


def test_a_run_stores_the_precision_it_could_do(
    tiny_config: Path,
    tiny_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(hardware, "bf16_is_fast", lambda: False)
    arguments = [
        "--config",
        str(tiny_config),
        "--run",
        str(tmp_path),
        "--data.root",
        str(tiny_root),
    ]
    short = ["--model.max_images", "8", "--model.optimizer.warmup", "1"]
    assert main(["fit", *arguments, *short, "--trainer.precision", "bf16-mixed"]) == 0
    assert "training in 32-true instead of bf16-mixed" in capsys.readouterr().out
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert stored["trainer"]["precision"] == "32-true"


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in ("fit", "validate", "shards", "shapeworld", "reconstruct"))


def test_printed_commands_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = tmp_path / "my run" / "tensorboard"
    curves.mkdir(parents=True)
    print_places(curves.parent)
    assert f"tensorboard --logdir '{curves}'\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [("reconstuct", "did you mean reconstruct?"), ("zzz", "name one of fit, validate, shards,")],
)
def test_a_verb_that_is_none_is_told_of_those_that_are(
    verb: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--out", "x"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"wild3d {verb}: there is no verb '{verb}': {sentence}")
    assert said.count("\n") == 1


def test_variables_of_others_change_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RUNS", "WILD3D_RUNS", "COMPARE_RUNS", "PL_FIT__RUN"):
        monkeypatch.setenv(name, "x")
    assert main(["compare", "--out", str(tmp_path / "a.md")]) == 2
    assert capsys.readouterr().err == "wild3d compare: --runs is missing. See --help.\n"
