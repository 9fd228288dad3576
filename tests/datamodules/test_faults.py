"""Damaged shards: what the error says, and what skipping does."""

import gzip
import json
import os
import re
import shutil
import struct
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_shards import IMAGES, SIDE, train_loader

from datamodules import join
from datamodules.build.writer import add_member
from datamodules.errors import DataError
from datamodules.join import JoinedShard, SampleError
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import ShardDataModule

ALL = ("rgb", "depth", "mask")
LABEL_4 = b'{"label": 4}'
DEEP, HUGE = b"[" * 100_000, b" " * (2**22 + 1)
_HEADER = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\r" + _HEADER + struct.pack(">I", zlib.crc32(_HEADER))


def rewrite(path: Path, change) -> None:
    """Write a tar again with its (name, content) list changed."""
    with tarfile.open(path) as tar:
        members = [(info.name, tar.extractfile(info).read()) for info in tar]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in change(members):
            add_member(tar, name, content)


def two_passes(loader):
    yield from loader
    yield from loader


def without(key):
    return lambda members: [m for m in members if not m[0].startswith(key)]


def spoiled(name, keep=30):
    return lambda members: [(n, c[:keep] if n == name else c) for n, c in members]


def swap_first_two(members):
    return [members[1], members[0], *members[2:]]


DAMAGES = {
    "missing sidecar shard": (
        lambda root: (root / "train/depth-000002.tar").unlink(),
        r"train/depth-000002.tar of .* cannot be read: No such file or directory\.$",
        7,
    ),
    "missing rgb shard": (
        lambda root: (root / "train/rgb-000001.tar").unlink(),
        r"train/rgb-000001.tar of .* cannot be read",
        3,
    ),
    "missing key": (
        lambda root: rewrite(root / "train/mask-000004.tar", without("k043")),
        r"train/mask-000004.tar holds 5 of 6 samples",
        1,
    ),
    "missing key with another in its place": (
        lambda root: rewrite(
            root / "train/mask-000004.tar",
            lambda members: [(n.replace("k043", "k999"), c) for n, c in members],
        ),
        r"train/mask-000004.tar has no sample for key k043",
        1,
    ),
    "swapped keys": (
        lambda root: rewrite(root / "train/depth-000000.tar", swap_first_two),
        r"train/depth-000000.tar has key k001 as sample 0 where train/rgb-000000.tar has key k000",
        0,
    ),
    "unreadable record": (
        lambda root: rewrite(root / "train/rgb-000004.tar", spoiled("k042.json", keep=5)),
        r"train/rgb-000004.tar, key k042: the json is unreadable",
        1,
    ),
    "undecodable image": (
        lambda root: rewrite(root / "train/rgb-000004.tar", spoiled("k042.png")),
        r"train/rgb-000004.tar, key k042: its image cannot be decoded",
        1,
    ),
    "undecodable depth": (
        lambda root: rewrite(root / "train/depth-000004.tar", spoiled("k042.depth.png")),
        r"train/rgb-000004.tar, key k042: its depth cannot be decoded",
        1,
    ),
    "truncated tar": (
        lambda root: truncate(root / "train/rgb-000002.tar"),
        r"train/rgb-000002.tar holds 2 of 7 samples: it is cut off after",
        5,
    ),
    "corrupt header": (
        lambda root: scribble(root / "train/mask-000002.tar"),
        r"train/mask-000002.tar holds 0 of 7 samples: the header at byte 0 is corrupt",
        7,
    ),
}


def replaced_by(make, name: str):
    def change(root: Path) -> None:
        (root / name).unlink()
        make(root / name)

    return change


def packed(root: Path) -> None:
    path = root / "train/rgb-000001.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))


def with_content(shard: str, name: str, content: bytes, sentence: str):
    """The damage of another content of a file, which costs its sample."""

    def change(members):
        return [(n, content if n == name else c) for n, c in members]

    told = rf"rgb-000004.tar, key k042: {sentence}"
    return lambda root: rewrite(root / f"train/{shard}.tar", change), told, 1


DAMAGES |= {
    "FIFO": (
        replaced_by(os.mkfifo, "train/rgb-000001.tar"),
        r"train/rgb-000001.tar of .* cannot be read: .* is a FIFO, not a file\.",
        3,
    ),
    "folder": (
        replaced_by(os.mkdir, "train/mask-000001.tar"),
        r"train/mask-000001.tar of .* cannot be read: .* is a folder, not a file\.",
        3,
    ),
    "compressed tar": (
        packed,
        r"train/rgb-000001.tar holds 0 of 3 samples: it is compressed by gzip: unpack it with "
        r"`gunzip` \(it has \d+ bytes, in the manifest 10240\)",
        3,
    ),
    "record that is a list": with_content(
        "rgb-000004",
        "k042.json",
        b"[1]",
        r"the json is unreadable, it is \[1\], expected an object",
    ),
    "label of no class": with_content(
        "rgb-000004",
        "k042.json",
        LABEL_4,
        "its label is 4, the manifest has 4 classes from 0 on",
    ),
    "record that is nested too deep": with_content(
        "rgb-000004", "k042.json", DEEP, "the json is unreadable, it is nested too deep"
    ),
    "record that is too large": with_content(
        "rgb-000004", "k042.json", HUGE, "a file of 4194305 bytes, at most 4194304 are read"
    ),
    "image that announces gigabytes": with_content(
        "rgb-000004",
        "k042.png",
        BOMB,
        r"its image cannot be decoded \(it announces 30000 x 30000",
    ),
    "mask of another size": with_content(
        "mask-000004",
        "k042.mask.png",
        BOMB,
        r"its mask cannot be decoded \(it announces 30000 x 30000",
    ),
}


def truncate(path: Path) -> None:
    with tarfile.open(path) as tar:
        third = tar.getmembers()[4]
    with path.open("r+b") as file:
        file.truncate(third.offset_data + 10)


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"garbage!")


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
