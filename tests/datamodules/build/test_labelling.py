"""Labels of finished shards: whole or not at all, by one process or several, and never twice."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_shards import SIDE, number_of, tiny_root

from datamodules.build.encode import encode_depth
from datamodules.build.labelling import Label, Share, finished_labels, label_shards, unknown_file
from datamodules.build.linked import linked_root
from datamodules.build.notes import read_reasons
from datamodules.build.writer import Rejected
from datamodules.errors import DataError
from datamodules.manifest import ShardInfo
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import ShardDataModule

MADE = {"network": "mine", "weights": "0" * 64, "flip": False}
SHARDS = 7


class Labels:
    """Labels that tell their image; every image whose number ends in 2 is unknown."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.asked: list[str] = []
        self.fails_at = fails_at

    def __call__(self, split: str, shard: ShardInfo) -> Iterator[Label]:
        self.asked.append(f"{split}-{shard.name}")
        for row in range(shard.samples):
            number = number_of(split, int(shard.name), row)
            if self.asked[-1] == self.fails_at and row == 1:
                raise KeyboardInterrupt
            unknown = "the network fails" if number % 10 == 2 else None
            value = 0 if unknown else 7 * number + 1
            content = encode_depth(np.full((SIDE, SIDE), value, np.uint16))
            yield Label(f"k{number:03d}", content, unknown)


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root labelled by one process at once; do not alter."""
    root = tmp_path_factory.mktemp("whole")
    tiny_root(root, sidecars=False)
    label_shards(str(root), "depth", MADE, Labels())
    return root


def test_labels_are_joined_to_their_images(whole: Path) -> None:
    manifest = read_manifest(str(whole))
    assert manifest.modalities == ("rgb", "depth")
    assert manifest.sidecars == {"depth": MADE}
    data = ShardDataModule(str(whole), SIDE, 4, depth=True, num_workers=0)
    data.setup()
    for batch in data.train_dataloader():
        numbers = np.array([int(key[1:]) for key in batch.keys])
        expected = np.where(numbers % 10 == 2, 0, 7 * numbers + 1)
        assert batch.depth[:, 0, 0].tolist() == expected.tolist()


def test_unknown_labels_are_listed(whole: Path) -> None:
    listed = read_reasons(unknown_file(whole, "depth"))
    keys = ["k002", "k012", "k022", "k042", "k102", "k112"]
    assert listed == [Rejected(key, "the network fails") for key in keys]


def test_finished_labels_are_left_as_they_are(whole: Path) -> None:
    before, labels = contents(whole), Labels()
    assert label_shards(str(whole), "depth", MADE, labels) == read_manifest(str(whole))
    assert labels.asked == []
    assert contents(whole) == before


def test_notes_of_a_process_killed_last_of_all_are_removed(tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    label_shards(str(tmp_path), "depth", MADE, Labels())
    notes = tmp_path / ".progress-depth" / "made.json"
    notes.parent.mkdir()
    notes.write_text("{}")
    assert label_shards(str(tmp_path), "depth", MADE, Labels()) is not None
    assert not notes.parent.exists()


def test_nothing_but_results_is_left(whole: Path) -> None:
    assert not [name for name in contents(whole) if ".p" in name.removesuffix(".png")]


def test_several_processes_write_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    asked = []
    for rank in range(3):
        labels = Labels()
        manifest = label_shards(str(tmp_path), "depth", MADE, labels, Share(rank, 3))
        assert (manifest is not None) == (rank == 2)
        asked.append(labels.asked)
    assert [len(shards) for shards in asked] == [3, 2, 2]
    assert len({shard for shards in asked for shard in shards}) == SHARDS
    assert contents(tmp_path) == contents(whole)


def test_an_interrupted_labelling_goes_on(whole: Path, tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    before = read_manifest(str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        label_shards(str(tmp_path), "depth", MADE, Labels(fails_at="train-000002"))
    assert read_manifest(str(tmp_path)) == before
    # What a killed process would leave.
    (tmp_path / "train" / "depth-000002.tar.4711.partial").write_bytes(b"half")
    labels = Labels()
    assert label_shards(str(tmp_path), "depth", MADE, labels, Share(0, 1)) is not None
    assert labels.asked == ["train-000002", "train-000003", "train-000004", *labels.asked[3:]]
    assert contents(tmp_path) == contents(whole)


def test_other_settings_do_not_go_on(tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    with pytest.raises(KeyboardInterrupt):
        label_shards(str(tmp_path), "depth", MADE, Labels(fails_at="train-000002"))
    with pytest.raises(DataError, match=r"made otherwise \(flip False, now True\): continue with"):
        label_shards(str(tmp_path), "depth", MADE | {"flip": True}, Labels())


def test_labels_that_are_there_are_not_replaced(whole: Path, tmp_path: Path) -> None:
    before = contents(whole)
    with pytest.raises(DataError, match=r"has depth already, which was made otherwise \(flip"):
        label_shards(str(whole), "depth", MADE | {"flip": True}, Labels())
    assert contents(whole) == before
    tiny_root(tmp_path)
    with pytest.raises(DataError, match="has depth already, which came with it: name another root"):
        finished_labels(str(tmp_path), "depth", MADE)


def test_the_same_command_twice_at_once_ends_well(whole: Path, tmp_path: Path) -> None:
    """The slower one finds its shard written, or all of them, while it is at it."""
    for quicker_at in ("train-000001", "val-000001"):
        root = tmp_path / quicker_at
        tiny_root(root, sidecars=False)

        class Slower(Labels):
            def __init__(self, root: Path, at: str) -> None:
                super().__init__()
                self.root, self.at = root, at

            def __call__(self, split: str, shard: ShardInfo) -> Iterator[Label]:
                labels = list(super().__call__(split, shard))
                if self.asked[-1] == self.at:
                    yield labels[0]
                    assert label_shards(str(self.root), "depth", MADE, Labels()) is not None
                    labels = labels[1:]
                yield from labels

        assert label_shards(str(root), "depth", MADE, Slower(root, quicker_at)) is not None
        assert contents(root) == contents(whole)


def test_settings_that_wrote_nothing_are_forgotten(whole: Path, tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    with pytest.raises(KeyboardInterrupt):
        label_shards(str(tmp_path), "depth", MADE | {"flip": True}, Labels(fails_at="train-000000"))
    assert label_shards(str(tmp_path), "depth", MADE, Labels()) is not None
    assert contents(tmp_path) == contents(whole)


def test_settings_of_a_process_that_is_at_its_first_shard_stay(tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)

    class Others(Labels):
        def __call__(self, split: str, shard: ShardInfo) -> Iterator[Label]:
            if not self.asked:
                with pytest.raises(DataError, match="made otherwise"):
                    label_shards(str(tmp_path), "depth", MADE | {"flip": True}, Labels())
            yield from super().__call__(split, shard)

    manifest = label_shards(str(tmp_path), "depth", MADE, Others())
    assert manifest is not None
    assert manifest.sidecars == {"depth": MADE}


def test_two_labels_go_side_by_side(tmp_path: Path) -> None:
    """One modality is entered while another is written."""
    tiny_root(tmp_path, sidecars=False)

    class Meanwhile(Labels):
        def __call__(self, split: str, shard: ShardInfo) -> Iterator[Label]:
            if not self.asked:
                label_shards(str(tmp_path), "mask", {"network": "other"}, Labels())
            yield from super().__call__(split, shard)

    manifest = label_shards(str(tmp_path), "depth", MADE, Meanwhile())
    assert manifest is not None
    assert manifest.modalities == ("rgb", "depth", "mask")
    assert set(manifest.sidecars) == {"depth", "mask"}


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    with pytest.raises(KeyboardInterrupt):
        label_shards(str(tmp_path), "depth", MADE, Labels(fails_at="train-000002"))
    (tmp_path / ".progress-depth" / "train-000000.json").write_text("{}")
    with pytest.raises(DataError, match=r"train-000000.json is damaged: remove it and run"):
        label_shards(str(tmp_path), "depth", MADE, Labels())


def test_remote_roots_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="http://x/y is no local folder: labels are written beside"):
        label_shards("http://x/y", "depth", MADE, Labels())


def test_a_linked_root_is_labelled_in_another_way(whole: Path, tmp_path: Path) -> None:
    before, out = contents(whole), tmp_path / "out"
    linked_root(str(whole), str(out), "depth")
    assert linked_root(str(whole), str(out), "depth") == read_manifest(str(out))
    assert (out / "train/rgb-000000.tar").samefile(whole / "train/rgb-000000.tar")
    manifest = label_shards(str(out), "depth", {"network": "other"}, Labels())
    assert manifest is not None
    assert manifest.sidecars == {"depth": {"network": "other"}}
    assert contents(whole) == before


def test_a_linked_root_keeps_other_sidecars(tmp_path: Path) -> None:
    tiny_root(tmp_path / "a")
    manifest = linked_root(str(tmp_path / "a"), str(tmp_path / "b"), "mask")
    assert manifest.modalities == ("rgb", "depth", "rays")
    assert not list((tmp_path / "b").rglob("mask*"))


def test_a_linked_root_of_other_images_is_refused(tmp_path: Path) -> None:
    tiny_root(tmp_path / "a")
    tiny_root(tmp_path / "b", train=(3,))
    with pytest.raises(DataError, match="b holds other images than"):
        linked_root(str(tmp_path / "a"), str(tmp_path / "b"), "mask")
    with pytest.raises(DataError, match="http://x is no local folder"):
        linked_root("http://x", str(tmp_path / "c"), "mask")


def test_manifests_without_labels_are_as_they_were(tmp_path: Path) -> None:
    text = tiny_root(tmp_path).to_json()
    assert "sidecars" not in json.loads(text)
