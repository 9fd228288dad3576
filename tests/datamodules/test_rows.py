"""Images of a split by row, as validation shows them."""

import pytest
import torch
from tiny_classes import SIDE, write_classes

from datamodules.augment import Framing
from datamodules.errors import DataError
from datamodules.remote import read_manifest
from datamodules.rows import SplitRows
from datamodules.shard_datamodule import ShardDataModule


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_classes(tmp_path_factory.mktemp("rows") / "shards")


def test_rows_of_several_shards_are_the_images_in_stored_order(root: str) -> None:
    rows = SplitRows(root, read_manifest(root), "train", SIDE)
    assert len(rows) == 24
    batch = rows.read([3, 11, 12, 23])  # the second shard begins at 12
    assert batch.keys == ("train0003", "train0011", "train0100", "train0111")
    assert batch.label.tolist() == [2, 2, 0, 2]
    assert batch.mask is not None
    assert not rows.has_rays
    records = rows.records
    assert records.label.tolist() == [(0, 1, 0, 2)[row % 12 % 4] for row in range(24)]
    assert records.keys[11:13] == ("train0011", "train0100")
    assert records.size.isnan().all()
    assert (records.time_of_day == -1).all()
    back = rows.read(range(2, 4))
    assert torch.equal(back.image[1], batch.image[0])
    rows.close()


def test_the_first_images_of_a_split_are_all_there_is_of_it(root: str) -> None:
    rows = SplitRows(root, read_manifest(root), "train", SIDE, most=13)
    assert (len(rows), len(rows.records.label), rows.records.keys[-1]) == (13, 13, "train0100")
    assert len(SplitRows(root, read_manifest(root), "train", SIDE, most=99)) == 24


def test_images_are_those_of_validation(root: str) -> None:
    data = ShardDataModule(root, SIDE // 2, 9, mask=True, num_workers=0)
    data.setup("validate")
    (expected,) = data.val_dataloader()
    found = SplitRows(root, read_manifest(root), "val", SIDE // 2).read(range(9))
    assert found.keys == expected.keys
    assert torch.equal(found.image, expected.image)
    assert torch.equal(found.mask, expected.mask)


def test_the_framing_cuts_and_isolates(root: str) -> None:
    framing = Framing(0.5, 1.0)
    batch = SplitRows(root, read_manifest(root), "val", SIDE // 2, framing).read([0])
    half = SIDE // 4
    assert (batch.image[0, :, half:] == 255).all()  # the lower half is no object
    whole = SplitRows(root, read_manifest(root), "val", SIDE).read([0])
    middle = slice(SIDE // 4, SIDE // 2)
    assert torch.equal(batch.image[0, :, :half], whole.image[0, :, middle, SIDE // 4 : -SIDE // 4])


def test_an_unusable_image_is_named(root: str) -> None:
    with pytest.raises(DataError, match=r"val, key val0000: it is 16 x 16, smaller"):
        SplitRows(root, read_manifest(root), "val", 2 * SIDE).read([0])
