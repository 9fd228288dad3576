import numpy as np
import pytest
import torch
from tiny_shards import SIDE, number_of, tiny_root

from datamodules.build.encode import encode_depth
from datamodules.build.sidecar import register_sidecar, write_sidecar
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule


def labelled(split, shard, samples):
    for row in range(samples):
        number = number_of(split, shard, row)
        yield f"k{number:03d}", encode_depth(np.full((SIDE, SIDE), 7 * number + 1, np.uint16))


def test_depth_added_later_is_joined(tmp_path):
    manifest = tiny_root(tmp_path, sidecars=False)
    images = {path: path.read_bytes() for path in tmp_path.glob("*/rgb*")}
    for split, infos in manifest.splits.items():
        for index, info in enumerate(infos):
            contents = labelled(split, index, info.samples)
            write_sidecar(tmp_path, split, info.name, "depth", contents)
    assert register_sidecar(tmp_path, "depth").modalities == ("rgb", "depth")
    assert all(path.read_bytes() == content for path, content in images.items())
    datamodule = ShardDataModule(str(tmp_path), SIDE, 4, depth=True, num_workers=0)
    datamodule.setup()
    for batch in datamodule.train_dataloader():
        numbers = torch.tensor([int(key[1:]) for key in batch.keys])
        assert torch.equal(batch.depth[:, 0, 0].long(), 7 * numbers + 1)


def test_a_sidecar_that_does_not_match_is_refused_and_named(tmp_path):
    manifest = tiny_root(tmp_path, train=(3,), val=(), sidecars=False)
    before = (tmp_path / "manifest.json").read_text()
    with pytest.raises(DataError, match=r"depth-000000.tar cannot be read"):
        register_sidecar(tmp_path, "depth")
    contents = list(labelled("train", 0, 3))
    name = manifest.splits["train"][0].name
    for wrong, sentence in (
        (contents[::-1], "has k002 as sample 0, expected key k000"),
        (contents[:2], "has nothing as sample 2, expected key k002"),
        ([*contents, ("k999", b"")], "has 4 samples, the images 3"),
    ):
        write_sidecar(tmp_path, "train", name, "depth", wrong)
        with pytest.raises(DataError, match=sentence):
            register_sidecar(tmp_path, "depth")
    write_sidecar(tmp_path, "train", name, "mask", contents)
    mask, depth = (tmp_path / f"train/{kind}-000000.tar" for kind in ("mask", "depth"))
    mask.replace(depth)
    with pytest.raises(DataError, match=r"key k000: the file ends in .mask.png, expected .depth.p"):
        register_sidecar(tmp_path, "depth")
    depth.write_bytes(b"garbage!" * 64)
    with pytest.raises(DataError, match=r"tar is damaged: the header at byte 0 is corrupt\.$"):
        register_sidecar(tmp_path, "depth")
    assert (tmp_path / "manifest.json").read_text() == before
    with pytest.raises(DataError, match="modality 'normals' is not one of depth, mask, rays"):
        write_sidecar(tmp_path, "train", name, "normals", [])
