"""`make test-published` on a preset that is trained in seconds."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_run import SIDE, write_config

from benchmarks import published
from benchmarks.published_data import Images, Networks, make_images
from benchmarks.published_page import BEGIN, END
from benchmarks.published_presets import PRESETS, Preset
from datamodules.errors import DataError
from datamodules.manifest import Manifest
from lightning_modules.cli.main import main as wild3d

NAMES = [preset.name for preset in PRESETS]
PRIOR = """
trainer: {accelerator: cpu, precision: 32-true}
model:
  class_path: lightning_modules.stage2.Stage2
  init_args:
    stage1: of the command line
    prior:
      class_path: models.priors.autoregressive.AutoregressivePrior
      init_args:
        codes: 8
        layout: {rows: 4, columns: 4}
        size: {width: 16, depth: 1, heads: 2}
        kinds: {classes: 3}
data:
  class_path: datamodules.token_datamodule.TokenDataModule
  init_args: {root: of the command line, batch_size: 4}
best_checkpoint: {monitor: val/bits_per_token, mode: min}
"""


def tiny(folder: Path, **changes: Any) -> Preset:
    images = Images(SIDE, classes=3)
    preset = Preset("tiny", (str(write_config(folder)),), images, "loss/l2")
    return replace(preset, **changes)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results go, and networks that nobody asks for."""
    monkeypatch.setattr(published, "STORE", tmp_path / "published.json")
    monkeypatch.setattr(published, "PAGE", tmp_path / "scaling.md")
    monkeypatch.setattr(published, "make_networks", lambda work: Networks(work / "a", work / "b"))
    (tmp_path / "scaling.md").write_text(f"{BEGIN}\n{END}\n")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, work: Path, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["published", "--work", str(work), *options])
    published.main()


def test_a_stage_2_comes_after_the_stage_1_that_it_lacks(tmp_path: Path) -> None:
    def names(*only: str) -> list[str]:
        return [preset.name for preset in published.chosen(only, tmp_path)]

    assert names("gina3d-stage2") == ["gina3d-stage1", "gina3d-stage2"]
    assert names("wildgan-shapenet55") == ["wildgan-shapenet55"]
    assert [preset.name for preset in published.chosen(None, tmp_path)] == NAMES
    checkpoint = tmp_path / "gina3d-stage1" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert names("gina3d-stage2") == ["gina3d-stage2"]


def test_only_checkpoints_that_others_need_are_left(tmp_path: Path) -> None:
    for name in ("gina3d-stage1", "gina3d-stage2"):
        folder = tmp_path / name / "checkpoints"
        folder.mkdir(parents=True)
        for file in ("best.ckpt", "last.ckpt", "previous.ckpt"):
            (folder / file).touch()
        published.spare(name, tmp_path)
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.ckpt")]
    assert left == [Path("gina3d-stage1/checkpoints/best.ckpt")]


def test_pictures_have_depth_and_the_classes_of_the_preset(tmp_path: Path) -> None:
    root = make_images(Images(SIDE, classes=1000), tmp_path)
    manifest = Manifest.from_json((root / "manifest.json").read_text(), "it")
    assert len(manifest.classes) == 1000
    assert manifest.modalities == ("rgb", "depth")
    assert (manifest.samples("train"), manifest.samples("val")) == (2, 1)


def test_a_preset_that_fails_leaves_the_others_alone(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(preset: Preset, work: Path, networks: Networks) -> dict[str, Any]:
        if preset.stage1:
            raise DataError("loss/total is not finite in a step.")
        if preset.name.startswith("eg3d"):
            raise KeyError("of ours")
        return {"parameters": [1]}

    monkeypatch.setattr(published, "measured", measured)
    monkeypatch.setattr(published, "page_with", lambda page, kept, names: page)
    with pytest.raises(SystemExit, match="failed: vq3d-stage2, gina3d-stage2, eg3d-imagenet100"):
        run(monkeypatch, told / "work")
    kept = json.loads((told / "published.json").read_text())
    assert list(kept) == NAMES
    assert kept["vq3d-stage2"] == {"failed": "loss/total is not finite in a step"}
    assert kept["eg3d-imagenet100"] == {"failed": "KeyError"}
    assert kept["wildgan-shapenet55"] == {"parameters": [1]}
    assert "KeyError: 'of ours'" in capsys.readouterr().out
    run(monkeypatch, told / "work", "--only", "wildgan-shapenet55")


def test_a_command_that_ends_otherwise_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "tiny.log"
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert published.command(["fit", "--run", "x"], log, 0) > 2**16
    with pytest.raises(DataError, match=r"^wild3d fit ended with code 0, not 143 \(see tiny\.log"):
        published.command(["fit"], log, published.INTERRUPTED)
    assert log.read_text() == "wild3d fit --run x\nwild3d fit\n"


def test_what_is_wrong_with_the_steps_is_told(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of commands that left the steps of a run that began anew, with a loss that rose."""
    preset = tiny(told)
    launch = {"begun_at": 0, "parameters": [7]}
    step = {"keys": ["a"], "seconds": 1.0, "peak": 1}

    def command(words: list[str], log: Path, wanted: int) -> int:
        run = told / "work" / "tiny"
        run.mkdir(exist_ok=True)
        data = {"class_path": "x.Y", "init_args": {}}
        settings = {"data": data, "trainer": {"precision": "32-true"}}
        (run / "config.yaml").write_text(json.dumps(settings))
        lines = [launch] + [step | {"images": n, "figures": {"loss/l2": n}} for n in range(1, 5)]
        with (told / "work" / "tiny.steps.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return 1

    monkeypatch.setattr(published, "PRESETS", (preset,))
    monkeypatch.setattr(published, "command", command)
    monkeypatch.setattr(published, "keys_in_order", lambda data, batches: [("a",)] * batches)
    with pytest.raises(SystemExit, match="failed: tiny"):
        run(monkeypatch, told / "work")
    failed = json.loads((told / "published.json").read_text())["tiny"]["failed"]
    assert failed == (
        "launches began at [0, 0] images, not at [0, 3]; "
        "loss/l2 is 1.5 in the first steps and 3.5 in the last"
    )
    assert f"tiny: {failed}." in (told / "scaling.md").read_text()


@pytest.mark.slow
def test_a_stage_2_is_trained_on_the_tokens_of_the_stage_1_before_it(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With commands in this process."""
    prior = told / "prior.yaml"
    prior.write_text(PRIOR)
    rates = ("--data.lanes", "2", "--model.optimizer.lr", "1e-2")
    stage2 = Preset("prior", (str(prior),), tiny(told).images, "loss/total", stage1="tiny")
    presets = (tiny(told, options=rates), replace(stage2, options=rates))

    def command(words: list[str], log: Path, wanted: int) -> int:
        try:
            code: object = wild3d(words)
        except SystemExit as interrupted:
            code = interrupted.code
        assert code == wanted
        return 1

    monkeypatch.setattr(published, "PRESETS", presets)
    monkeypatch.setattr(published, "command", command)
    run(monkeypatch, told / "work", "--only", "prior")
    kept = json.loads((told / "published.json").read_text())
    assert [entry["loss"] for entry in kept.values()] == ["loss/l2", "loss/total"]
    left = list((told / "work").rglob("*.ckpt"))
    assert left == [told / "work" / "tiny" / "checkpoints" / "best.ckpt"]


@pytest.mark.slow
def test_a_preset_is_trained_interrupted_and_continued(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--data.lanes", "2", "--model.optimizer.lr", "1e-2")
    preset = tiny(told, options=options)
    monkeypatch.setattr(published, "PRESETS", (preset,))
    run(monkeypatch, told / "work")
    kept = json.loads((told / "published.json").read_text())["tiny"]
    assert kept["steps"] == [3, 5]
    assert kept["last"] < kept["first"]
    assert len(kept["parameters"]) == 2
    assert all(2**27 < peak <= kept["peak_bytes"] < 2**33 for peak in kept["training_peak_bytes"])
    assert 0 < kept["seconds_a_step"] < 60
    assert kept["precision"] == "32-true"
    assert "| tiny |" in (told / "scaling.md").read_text()
    assert not list((told / "work" / "tiny" / "checkpoints").iterdir())
