from pathlib import Path

import numpy as np
import pytest

from benchmarks.altered_shards import Alteration, altered_shards, grown, noise_mask
from datamodules.build.shapeworld.verb import shapeworld
from datamodules.errors import DataError
from datamodules.modalities import TRAIN
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule

RESOLUTION = 16


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """36 small training images of twelve classes and 4 of validation; do not alter."""
    folder = str(tmp_path_factory.mktemp("data") / "root")
    shapeworld(folder, images=40, val_fraction=0.1, resolution=RESOLUTION, workers=1)
    return folder


def batches(folder: str) -> tuple[Batch, Batch]:
    """The training and the validation images of a root."""
    data = ShardDataModule(folder, RESOLUTION, 1, mask=True, flip=False, num_workers=0, lanes=1)
    data.setup("fit")
    train = list(data.train_dataloader())
    val = data.val_dataloader()
    assert not isinstance(val, list)
    return train, list(val)  # type: ignore[return-value]


def test_masks_grow_over_what_is_beside_them_and_shrink_to_background() -> None:
    codes = np.zeros((9, 9), np.uint8)
    codes[3:6, 3:6] = 1
    codes[:, 7] = 2
    larger = grown(codes, 1)
    assert (larger == 1).sum() == 25
    assert (larger[:, 7] == 2).all()
    assert (grown(codes, 2)[1:8, 7] == 1).all()
    smaller = grown(codes, -1)
    assert np.argwhere(smaller == 1).tolist() == [[4, 4]]
    assert (smaller == 2).sum() == 9
    assert np.array_equal(grown(codes, 0), codes)


def test_a_third_of_a_noise_mask_is_object() -> None:
    mask = noise_mask((64, 64), np.random.default_rng(0))
    assert (mask == 1).mean() == pytest.approx(1 / 3, abs=0.01)


def test_only_training_masks_are_altered(root: str, tmp_path: Path) -> None:
    altered_shards(root, str(tmp_path / "noise"), Alteration(noise=1.0))
    (train, val), (noisy, same) = batches(root), batches(str(tmp_path / "noise"))
    before = {key: batch for batch in train for key in batch.keys}
    for batch in noisy:
        (key,) = batch.keys
        assert (batch.image == before[key].image).all()
        assert not (batch.mask == before[key].mask).all()
    assert len(noisy) == len(train)
    for one, other in zip(val, same, strict=True):
        assert (one.mask == other.mask).all()


@pytest.mark.parametrize("alone", [False, True])
def test_a_rare_class_keeps_so_many_images(root: str, tmp_path: Path, alone: bool) -> None:
    out = str(tmp_path / "few")
    written = altered_shards(root, out, Alteration(rare="mug", images=2, alone=alone))
    labels = [int(batch.label) for batch in batches(out)[0]]
    mug = written.classes.index("mug")
    assert labels.count(mug) == 2
    others = [int(b.label) for b in batches(root)[0] if int(b.label) != mug]
    assert len(labels) - 2 == (0 if alone else len(others))
    assert written.samples(TRAIN) == len(labels)


def test_an_unknown_class_is_named(root: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rare is dog, it must be one of airplane"):
        altered_shards(root, str(tmp_path / "no"), Alteration(rare="dog", images=2))
