"""The depth network learns a toy data set as a run like any other, and labels images then."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_depth, encode_png
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.cli.main import main
from lightning_modules.depth import DepthTraining
from lightning_modules.labelling.depth_networks import open_depth_network
from lightning_modules.metrics.image import masked_correlation
from lightning_modules.training.image_jitter import Jitter
from models.depth_network import SmallDepthNetwork

SIDE = 64
COUNTS = {"train": (12, 12), "val": (6,)}
CONFIG = f"""
trainer: {{accelerator: cpu, devices: 1, precision: 32-true, val_check_interval: 12}}
model:
  class_path: lightning_modules.depth.DepthTraining
  init_args:
    max_images: 96
    ema_half_life: 10
    network:
      class_path: models.depth_network.SmallDepthNetwork
      init_args: {{resolution: {SIDE}, width: 8}}
    optimizer: {{lr: 1.0e-2, warmup: 8}}
data:
  class_path: datamodules.shard_datamodule.ShardDataModule
  init_args: {{resolution: {SIDE}, batch_size: 4, depth: true, num_workers: 0, lanes: 4}}
best_checkpoint: {{monitor: val/correlation, mode: max}}
sheets: {{every_images: 96, images: 3}}
"""


def write_bright_is_near(root: Path, depth: bool = True) -> str:
    """A bright disc on a dark ground is near; its upper rows have no depth."""

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        for row in range(COUNTS[split][shard]):
            rng = np.random.default_rng([len(split), shard, row])
            y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(20, 44, (2, 1, 1))
            near = x**2 + y**2 < rng.uniform(8, 16) ** 2
            pixels = (40 + 170 * near[..., None] + rng.uniform(0, 30, (1, 1, 3))).astype(np.uint8)
            disparity = np.where(near, 40000, 9000).astype(np.uint16)
            disparity[:5] = 0
            png = encode_depth(disparity) if depth else None
            record = {"label": 0, "class": "disc"}
            key = f"{split}{10 * shard + row}"
            yield EncodedSample(key, encode_png(pixels), "png", record, depth_png=png)

    build_shards(root, COUNTS, samples, 1, ["disc"], SIDE, {"tool": "test"})
    return str(root)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run; the data lie beside it."""
    folder = tmp_path_factory.mktemp("depth")
    root = write_bright_is_near(folder / "discs")
    (folder / "config.yaml").write_text(CONFIG)
    words = ["--config", str(folder / "config.yaml"), "--data.root", root]
    assert main(["fit", *words, "--run", str(folder / "run")]) == 0
    return folder / "run"


def test_it_learns_what_is_near(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["correlation"] > 0.9
    assert result["delta_1.25"] > 0.8
    assert [path.name for path in (run / "sheets").iterdir()] == ["000000096.png"]


def test_it_labels_images_as_other_networks_do(run: Path, tmp_path: Path) -> None:
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    network = open_depth_network(checkpoint, "cpu", "float32", flip=True)
    assert network.name == f"depth-discs-{network.weights[:8]}"
    root = write_bright_is_near(tmp_path / "plain", depth=False)
    assert main(["label", "depth", "--network", checkpoint, "--root", root]) == 0
    assert read_manifest(root).sidecars["depth"]["network"] == network.name
    found, truth = (next(iter(loader(path))) for path in (root, str(run.parent / "discs")))
    assert found.keys == truth.keys
    known = truth.disparity_known().flatten(1)
    pair = found.disparity().flatten(1), truth.disparity().flatten(1)
    assert (masked_correlation(*pair, known) > 0.8).all()


def loader(root: str):
    data = ShardDataModule(root, SIDE, 6, depth=True, num_workers=0)
    data.setup()
    return data.val_dataloader()


def test_data_without_depth_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(run.parent / "config.yaml"), "--run", str(tmp_path / "run")]
    words += ["--data.root", str(run.parent / "discs"), "--data.depth", "false"]
    assert main(["fit", *words]) == 2
    assert "which is not loaded: set `data.depth`" in capsys.readouterr().err


def test_images_are_not_moved_away_from_their_depth() -> None:
    with pytest.raises(DataError, match="jitter moves images away from their depth"):
        DepthTraining(SmallDepthNetwork(64, 8), jitter=Jitter(mirror=False))


def test_averaged_weights_are_used(run: Path) -> None:
    checkpoint = run / "checkpoints" / "best.ckpt"
    network = open_depth_network(str(checkpoint), "cpu", "float32", flip=False)
    stored = torch.load(checkpoint, weights_only=True)["state_dict"]
    for name, value in network.predictor.model.state_dict().items():
        assert torch.equal(value, stored[f"ema.{name}"])
