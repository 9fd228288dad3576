"""Several roots become one whose images are those of all, each once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_samples import tiny_sample
from tiny_shards import SIDE, tiny_root

from datamodules.build.driver import build_shards
from datamodules.build.merge import merge
from datamodules.errors import DataError
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import ShardDataModule


def other_root(root: Path, classes: tuple[str, ...] = ("x",), sidecars: bool = True) -> None:
    def samples(split: str, shard: int) -> Iterator[object]:
        yield from (tiny_sample(number, sidecars) for number in range(200, 204))

    build_shards(root, {"train": [4]}, samples, 1, list(classes), SIDE, {"tool": "test"})


@pytest.fixture
def roots(tmp_path: Path) -> tuple[str, str]:
    tiny_root(tmp_path / "a")
    other_root(tmp_path / "b")
    return str(tmp_path / "a"), str(tmp_path / "b")


def test_all_images_are_there_once(roots: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    merge(roots, str(out), ("depth",))
    merged = read_manifest(str(out))
    assert merged.modalities == ("rgb", "depth")
    assert merged.samples("train") == read_manifest(roots[0]).samples("train") + 4
    assert merged.samples("val") == read_manifest(roots[0]).samples("val")
    assert merged.classes == ()
    assert (out / "train/rgb-000005.tar").samefile(f"{roots[1]}/train/rgb-000000.tar")
    data = ShardDataModule(str(out), SIDE, 2, depth=True, num_workers=0)
    data.setup()
    keys = [key for batch in data.train_dataloader() for key in batch.keys]
    assert len(set(keys)) == len(keys) == merged.samples("train")
    assert {"k200", "k000"} <= set(keys)


def test_the_same_command_again_changes_nothing(
    roots: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    merge(roots, str(out))
    before = (out / "manifest.json").read_bytes()
    merge(roots, str(out))
    assert (out / "manifest.json").read_bytes() == before
    assert "33 images in" in capsys.readouterr().out
    with pytest.raises(DataError, match="out holds other shards: name another --out"):
        merge(roots, str(out), ("mask",))


def test_classes_that_all_share_are_kept(tmp_path: Path) -> None:
    tiny_root(tmp_path / "a")
    other_root(tmp_path / "b", ("a", "b", "c", "d"))
    merge((str(tmp_path / "a"), str(tmp_path / "b")), str(tmp_path / "out"))
    assert read_manifest(str(tmp_path / "out")).classes == ("a", "b", "c", "d")


def test_what_can_not_be_merged_is_refused(roots: tuple[str, str], tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    other_root(tmp_path / "c", sidecars=False)
    for wanted, sentence in (
        ((roots[0],), "fewer than two folders"),
        ((roots[0], roots[0]), "fewer than two folders"),
        ((roots[1], str(tmp_path / "c")), r"b and .*c both hold k200 in train\."),
        ((roots[0], "http://x"), "http://x is no local folder"),
    ):
        with pytest.raises(DataError, match=sentence):
            merge(wanted, out)
    with pytest.raises(DataError, match="c has no depth: leave it out of --modalities"):
        merge((roots[0], str(tmp_path / "c")), out, ("depth",))
    with pytest.raises(DataError, match="'normals': name any of depth, mask, rays"):
        merge(roots, out, ("normals",))
    assert not (tmp_path / "out" / "manifest.json").exists()
