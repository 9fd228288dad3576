"""Damaged shards: what the error says, and what skipping does."""

import json
import os
import re
import shutil
from dataclasses import replace

import pytest
from damages import DAMAGES, rewrite
from tiny_shards import IMAGES, SIDE, train_loader

from datamodules import join
from datamodules.errors import DataError
from datamodules.join import JoinedShard, SampleError
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import ShardDataModule

ALL = ("rgb", "depth", "mask")


def two_passes(loader):
    yield from loader
    yield from loader


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("workers", [0, 2])
def test_damage_is_named(own_root, damage, workers):
    spoil, sentence, _ = DAMAGES[damage]
    spoil(own_root)
    loader = train_loader(own_root, modalities=ALL, num_workers=workers)
    with pytest.raises(DataError, match=sentence) as caught:
        list(two_passes(loader))
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_skipped_the_same_way_by_any_readers(own_root, damage):
    spoil, _, lost = DAMAGES[damage]
    spoil(own_root)
    wanted = {"modalities": ALL, "on_error": "skip", "max_skipped_share": 0.5}
    one = train_loader(own_root, 11, **wanted)
    keys = [key for batch in one for key in batch.keys]
    assert len(keys) == IMAGES
    assert len(set(keys)) == IMAGES - lost
    assert one.skipped == lost
    ranks = [train_loader(own_root, 11, r, 2, num_workers=r, **wanted) for r in range(2)]
    by_rank = [[key for batch in loader for key in batch.keys] for loader in ranks]
    assert by_rank == [keys[0::2], keys[1::2]]


def test_too_many_skipped_images_stop_the_run(own_root):
    DAMAGES["undecodable image"][0](own_root)
    loader = train_loader(own_root, on_error="skip", max_skipped_share=0.0009)
    with pytest.raises(DataError, match=re.escape("more than max_skipped_share 0.0009")):
        list(two_passes(loader))


def test_samples_that_a_manifest_only_lists_cost_no_time(own_root, monkeypatch):
    manifest = json.loads((own_root / "manifest.json").read_text())
    for number, shard in enumerate(manifest["splits"]["train"]):
        shard["samples"] = 2**20 if number else 5
        shard["files"] = {name: {**file, "bytes": 2**40} for name, file in shard["files"].items()}
    (own_root / "manifest.json").write_text(json.dumps(manifest))
    for path in (own_root / "train").glob("*-00000[1-4].tar"):
        path.unlink()
    tried = []
    read = JoinedShard.read
    monkeypatch.setattr(JoinedShard, "read", lambda self, row: tried.append(row) or read(self, row))
    run = ShardDataModule(
        str(own_root), SIDE, 8, num_workers=0, on_error="skip", max_skipped_share=1
    )
    run.setup()
    batch = next(iter(run.train_dataloader()))
    assert set(batch.keys) <= {f"k00{row}" for row in range(5)}
    assert len(tried) <= 16


def test_a_split_without_one_usable_image_ends(own_root):
    shutil.rmtree(own_root / "train")
    with pytest.raises(DataError, match=r"no image of split train in .* is usable"):
        list(train_loader(own_root, on_error="skip", max_skipped_share=1.0))


@pytest.mark.parametrize("modality", ["rgb", "depth"])
def test_a_file_that_shrinks_while_it_is_open_is_named(own_root, modality, monkeypatch):
    info = read_manifest(str(own_root)).splits["train"][2]
    shard = JoinedShard(str(own_root), "train", info, ALL, strict=True)
    os.truncate(own_root / f"train/{modality}-000002.tar", 600)
    with pytest.raises(
        SampleError, match=rf"^train/{modality}-000002.tar, key k021: the file ends"
    ):
        shard.read(1)

    def broken(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(join.os, "preadv", broken)
    with pytest.raises(SampleError, match=r"rgb-000002.tar, key k021: .*, Input/output error"):
        shard.read(1)


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_images_are_counted_over_all_workers(own_root, workers):
    DAMAGES["missing sidecar shard"][0](own_root)
    DAMAGES["undecodable image"][0](own_root)
    (own_root / "val/mask-000001.tar").unlink()
    datamodule = ShardDataModule(
        str(own_root),
        SIDE,
        batch_size=11,
        depth=True,
        mask=True,
        num_workers=workers,
        on_error="skip",
        max_skipped_share=0.5,
    )
    datamodule.setup()
    assert datamodule.skipped == 0
    train = datamodule.train_dataloader()
    list(train)
    assert datamodule.skipped == 8
    list(train)
    assert datamodule.skipped == 16
    list(datamodule.val_dataloader())
    assert datamodule.skipped == 19


def test_repeated_keys_are_named(own_root):
    rewrite(own_root / "train/rgb-000000.tar", lambda members: [*members[:8], *members[:2]])
    rewrite(own_root / "train/mask-000000.tar", lambda members: members[:4])
    info = replace(read_manifest(str(own_root)).splits["train"][0], samples=5)
    with pytest.raises(DataError, match=r"mask-000000.tar holds 4 of 5 samples"):
        JoinedShard(str(own_root), "train", info, ("rgb", "mask"), strict=True)
    skipping = JoinedShard(str(own_root), "train", info, ("rgb", "mask"), strict=False)
    assert skipping.read(4).key == "k000"


def test_a_shard_that_is_refused_leaves_no_file_open(own_root):
    DAMAGES["truncated tar"][0](own_root)
    info = read_manifest(str(own_root)).splits["train"][2]
    before = os.listdir("/proc/self/fd")
    with pytest.raises(DataError, match="holds 2 of 7"):
        JoinedShard(str(own_root), "train", info, ALL, strict=True)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_larger_than_what_is_read_into_memory_is_named(own_root, monkeypatch):
    info = read_manifest(str(own_root)).splits["train"][0]
    shard = JoinedShard(str(own_root), "train", info, ALL, strict=True)
    monkeypatch.setattr(join._read, "__defaults__", (10,))
    with pytest.raises(SampleError, match=r"k000: a file of \d+ bytes, at most 10 are read"):
        shard.read(0)
