import math
from pathlib import Path

import pytest
from test_completion import empty_model
from tiny_checkpoints import save_stage1

from benchmarks.reconstructions import reconstruction_figures
from datamodules.shard_datamodule import ShardDataModule

SIDE = 16


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that renders almost nothing before grey."""
    return save_stage1(empty_model(), tmp_path_factory.mktemp("stage1") / "best.ckpt")


def grey_psnr(root: str, label: int | None) -> float:
    """Mean PSNR of grey against the visible pixels of objects, of a class or all."""
    data = ShardDataModule(root, SIDE, 50, mask=True, rays=True, flip=False, num_workers=0)
    data.setup("validate")
    (batch,) = data.val_dataloader()
    seen = (batch.mask == 1)[:, None]
    squares = ((batch.float_image() - 0.5).square() * seen).sum((1, 2, 3)) / (
        3 * seen.sum((1, 2, 3))
    )
    rows = slice(None) if label is None else batch.label == label
    return float((-10 * squares[rows].log10()).nanmean())  # one shows nothing at this size


@pytest.mark.parametrize("of_class", [None, "rocket"])
def test_an_empty_model_is_as_wrong_as_grey(
    hidden_root: str, empty: str, of_class: str | None, tmp_path: Path
) -> None:
    data = ShardDataModule(hidden_root, SIDE, 50, num_workers=0)
    data.setup("validate")
    label = None if of_class is None else data.manifest.classes.index(of_class)
    found = reconstruction_figures(empty, hidden_root, of_class)
    assert found["PSNR, dB"] == pytest.approx(grey_psnr(hidden_root, label), abs=0.1)
    assert found["IoU"] == 0
    assert found["hidden IoU of the silhouette"] == 0
    assert 0 < found["codes in use, %"] <= 100
    assert all(map(math.isfinite, found.values()))
