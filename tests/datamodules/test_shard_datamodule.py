import logging
import math

import pytest
import torch
from tiny_shards import SIDE, tiny_root

from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule
from datamodules.stream_datamodule import lane_advice


def test_batches_carry_what_was_asked_for(root):
    plain = ShardDataModule(str(root), SIDE, 3, num_workers=0)
    plain.setup()
    batch = next(iter(plain.train_dataloader()))
    assert (batch.depth, batch.mask, batch.camera) == (None, None, None)
    full = ShardDataModule(str(root), 2, 3, depth=True, mask=True, camera=True, num_workers=0)
    full.setup()
    batch = next(iter(full.train_dataloader()))
    assert batch.image.shape == (3, 3, 2, 2)
    assert (batch.depth.shape, batch.depth.dtype) == ((3, 2, 2), torch.uint16)
    assert (batch.mask.shape, batch.mask.dtype) == ((3, 2, 2), torch.uint8)
    assert batch.camera.cam2world.shape == (3, 4, 4)


def test_objects_are_shown_on_an_even_background_in_both_splits(root):
    run = ShardDataModule(str(root), SIDE, 3, background=1.0, num_workers=0)
    run.setup()
    assert (run.framing.background, run.modalities) == (1.0, ("rgb", "mask"))
    for loader in (run.train_dataloader(), run.val_dataloader()):
        batches = list(loader)
        images, masks = torch.cat([b.image for b in batches]), torch.cat([b.mask for b in batches])
        around = (masks != 1)[:, None].expand_as(images)
        assert (images[around] == 255).all()
        assert (images[~around] < 255).any()


def test_training_begins_at_images_seen(root):
    run = ShardDataModule(str(root), SIDE, 2, num_workers=0)
    run.setup()
    keys = [key for batch in run.train_dataloader() for key in batch.keys]
    run.images_seen = 6
    assert next(iter(run.train_dataloader())).keys == tuple(keys[6:8])


def test_validation_can_be_cut_short_or_absent(root, tmp_path):
    short = ShardDataModule(str(root), SIDE, 2, max_val_images=5, num_workers=0)
    short.setup()
    keys = [key for batch in short.val_dataloader() for key in batch.keys]
    assert keys == ["k100", "k101", "k102", "k103", "k110"]
    tiny_root(tmp_path, val=())
    absent = ShardDataModule(str(tmp_path), SIDE, 2)
    absent.setup()
    assert absent.val_dataloader() == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"resolution": 0}, r"resolution is 0, it must be from 1 to 8,192"),
        ({"resolution": 1_000_000}, r"resolution is 1000000, it must be from 1 to 8,192"),
        ({"batch_size": 0}, r"batch_size is 0, it must be from 1"),
        ({"batch_size": True}, r"batch_size is True, it must be from 1"),
        ({"batch_size": 2.5}, r"batch_size is 2.5, it must be an integer"),
        ({"batch_size": 10**9}, r"batch_size is 1000000000, it must be from 1 to 100,000"),
        ({"val_batch_size": 0}, r"val_batch_size is 0"),
        ({"num_workers": -1}, r"num_workers is -1, it must be from 0 to 1,000"),
        ({"lanes": -4}, r"lanes is -4"),
        ({"seed": -1}, r"seed is -1, it must be from 0 to 4,294,967,295"),
        ({"seed": 2**40}, r"seed is 1099511627776"),
        ({"semantics": -1}, r"semantics is -1"),
        ({"prefetch": 0}, r"prefetch is 0"),
        ({"max_val_images": 0}, r"max_val_images is 0"),
        ({"max_skipped_share": math.nan}, r"max_skipped_share is nan, it must be from 0 to 1"),
        ({"on_error": "ignore"}, r"on_error is 'ignore', it must be error or skip"),
        ({"root": ""}, r"root is '', it must be a folder, a url or a command"),
        ({"root": "a\0b"}, r"root is 'a\\x00b', it must be a folder, a url or a command"),
        ({"background": 128}, r"background is 128, it must be a grey level from 0 to 1, or null"),
        ({"background": math.nan}, r"background is nan, it must be a grey level"),
        ({"crop_share": 1.5}, r"crop_share is 1.5, it must be above 0 and at most 1"),
        ({"crop_share": math.nan}, r"crop_share is nan"),
    ],
)
def test_settings_out_of_range_are_refused_where_they_are_made(settings, sentence):
    with pytest.raises(DataError, match=sentence):
        ShardDataModule(**{"root": "shards", "resolution": SIDE, "batch_size": 2, **settings})


def test_a_resolution_beyond_that_of_the_shards_is_refused(root):
    with pytest.raises(DataError, match=r"resolution 64 is larger than the 4 pixels"):
        ShardDataModule(str(root), 64, 2).setup()


@pytest.mark.parametrize("seen", [None, -1, 2**70, "7", 1.5])
def test_a_position_that_is_none_is_refused(root, seen):
    run = ShardDataModule(str(root), SIDE, 2, num_workers=0)
    run.setup()
    with pytest.raises(DataError, match=r"the checkpoint has images_seen .*, expected a count"):
        run.load_state_dict({**run.state_dict(), "images_seen": seen})


def test_a_modality_the_shards_lack_is_refused(tmp_path):
    tiny_root(tmp_path, sidecars=False)
    datamodule = ShardDataModule(str(tmp_path), SIDE, 2, mask=True)
    with pytest.raises(DataError, match=r"has rgb, no mask: set mask: false"):
        datamodule.setup()
    isolated = ShardDataModule(str(tmp_path), SIDE, 2, background=1.0)
    with pytest.raises(DataError, match=r"has rgb, no mask: set background: null"):
        isolated.setup()


def test_readers_that_cannot_own_lanes_are_told_which_numbers_fit(root, caplog):
    assert lane_advice(64, 4, 2) is None
    assert lane_advice(64, 2, 0) is None
    assert "num_workers 1, 2, 4, 8, 16, 32, or lanes 66" in str(lane_advice(64, 2, 3))
    assert "; lanes 66" in str(lane_advice(64, 3, 2))
    with caplog.at_level(logging.WARNING):
        ShardDataModule(str(root), SIDE, 2, num_workers=3).setup()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "lanes 64 is no multiple of 1 ranks x 3 workers"
    ]


def test_hyperparameters_are_plain_so_that_checkpoints_load(root, tmp_path):
    datamodule = ShardDataModule(str(root), SIDE, 2)
    torch.save(dict(datamodule.hparams), tmp_path / "hparams.pt")
    assert torch.load(tmp_path / "hparams.pt", weights_only=True)["lanes"] == 64
