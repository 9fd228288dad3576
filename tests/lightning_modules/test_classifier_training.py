"""A classifier learns a toy data set as a run like any other, and can be used afterwards."""

import json
from pathlib import Path

import pytest
import torch
from tiny_classes import CLASSES, SIDE, write_classes
from tiny_run import write_shards

from lightning_modules.cli.main import main
from lightning_modules.evaluation.classifier_network import load_classifier

CONFIG = f"""
trainer: {{accelerator: cpu, devices: 1, precision: 32-true, val_check_interval: 12}}
model:
  class_path: lightning_modules.classifier.ClassifierTraining
  init_args:
    max_images: 192
    ema_half_life: 20
    classifier:
      class_path: models.classifier.SmallClassifier
      init_args: {{classes: 3, resolution: {SIDE}, width: 8}}
    optimizer: {{lr: 1.0e-2, warmup: 16}}
data:
  class_path: datamodules.shard_datamodule.ShardDataModule
  init_args: {{resolution: {SIDE}, batch_size: 8, num_workers: 0, lanes: 4, flip: false}}
best_checkpoint: {{monitor: val/accuracy, mode: max}}
sheets: {{every_images: 96, images: 5}}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Configuration, shards, and the folder of a finished run."""
    folder = tmp_path_factory.mktemp("classifier")
    write_classes(folder / "colours")
    (folder / "config.yaml").write_text(CONFIG)
    found = folder / "config.yaml", folder / "colours", folder / "run"
    assert fit(*found) == 0
    return found


def fit(config: Path, root: Path, run: Path, *options: str) -> int:
    arguments = ["--config", str(config), "--data.root", str(root), "--run", str(run)]
    return main(["fit", *arguments, *options])


def test_it_learns_colours(files: tuple[Path, Path, Path]) -> None:
    result = json.loads((files[2] / "result.json").read_text())
    assert result["accuracy"] == result["class_accuracy"] == 1
    assert result["cross_entropy"] < 0.5
    assert result["images_seen"] == 192
    sheets = sorted(path.name for path in (files[2] / "sheets").iterdir())
    assert sheets == ["000000096.png", "000000192.png"]


def test_its_averaged_weights_are_loaded_under_the_name_of_the_data(
    files: tuple[Path, Path, Path],
) -> None:
    path = files[2] / "checkpoints" / "last.ckpt"
    loaded = load_classifier(str(path))
    assert loaded.name == f"classifier-colours-{loaded.weights[:8]}"
    stored = torch.load(path, weights_only=True)
    assert stored["classes"] == list(CLASSES)
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, stored["state_dict"][f"ema.{name}"])
    red = torch.full((1, 3, SIDE, SIDE), 0.2)
    red[:, 0] = 0.8
    assert loaded.model(red).argmax() == 0


def test_other_classes_than_those_of_the_data_are_refused(
    files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "one")
    assert fit(files[0], tmp_path / "one", tmp_path / "run") == 2
    message = capsys.readouterr().err
    assert "tells 3 classes apart, the data have 1" in message
    assert "model.classifier.classes" in message
