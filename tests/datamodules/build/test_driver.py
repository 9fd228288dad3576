import csv
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tiny_samples import PLAN, full_disk, planned_samples, waiting_samples

from datamodules.build import driver
from datamodules.build.driver import build_shards
from datamodules.build.writer import Rejected
from datamodules.errors import DataError


def nothing(split: str, shard: int):
    yield Rejected(f"{split}{shard}.jpg", "broken")


def build(root, make=planned_samples, workers=1, seed=0):
    return build_shards(root, PLAN, make, workers, ["a"], 4, {"seed": seed})


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_any_number_of_processes_writes_the_same_bytes(tmp_path):
    manifest = build(tmp_path / "one")
    assert build(tmp_path / "two", workers=2) == manifest
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert (manifest.samples("train"), manifest.samples("val")) == (8, 2)
    assert not (tmp_path / "one/.progress").exists()


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        (
            {"train": [5, 2**21]},
            "samples of a shard of train is 2097152, it must be from 0 to 1,048",
        ),
        ({"../train": [5]}, "the name of a split is '../train', expected up to 100 letters"),
    ],
)
def test_splits_that_no_manifest_can_hold_are_refused_before_they_are_written(
    tmp_path, splits, sentence
):
    with pytest.raises(DataError, match=sentence):
        build_shards(tmp_path / "out", splits, planned_samples, 1, ["a"], 4, {})
    assert not (tmp_path / "out").exists()


def test_rejected_sources_are_listed(tmp_path):
    build(tmp_path)
    rows = list(csv.reader((tmp_path / "rejected.csv").open()))
    assert rows == [["source", "reason"], ["train1.jpg", "broken, twice"]]


@pytest.mark.parametrize("shard", [0, 1, 2])
def test_an_interrupted_build_is_continued(tmp_path, shard):
    build(tmp_path / "whole")
    made: list[tuple[str, int]] = []

    def interrupted(split, index):
        for row, sample in enumerate(planned_samples(split, index)):
            if (split, index, row) == ("train", shard, 1):
                raise KeyboardInterrupt
            yield sample

    def noted(split, index):
        made.append((split, index))
        return planned_samples(split, index)

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "parts", interrupted)
    assert not list(tmp_path.glob("parts/train/*.partial"))
    assert not (tmp_path / "parts/manifest.json").exists()
    build(tmp_path / "parts", noted)
    assert ("train", shard) in made
    assert not {("train", done) for done in range(shard)} & set(made)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_crash_between_renames_is_mended(tmp_path, monkeypatch):
    build(tmp_path / "whole")
    calls: list[str] = []

    def crash(old, new, really=os.replace):
        calls.append(str(new))
        if str(new).endswith("depth-000001.tar"):
            raise KeyboardInterrupt
        really(old, new)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "parts")
    monkeypatch.undo()
    build(tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_finished_root_is_left_alone(tmp_path):
    manifest = build(tmp_path)
    assert build(tmp_path, make=nothing) == manifest


def test_other_settings_are_refused(tmp_path):
    build(tmp_path / "done")
    with pytest.raises(DataError, match=r"already holds shards .* \(seed 0, now 1\)"):
        build(tmp_path / "done", seed=1)

    def interrupted(split, index):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "begun", interrupted)
    with pytest.raises(
        DataError, match=r"unfinished build with other settings or files \(seed 0, now 1\)"
    ):
        build(tmp_path / "begun", seed=1)


def test_no_usable_image_at_all(tmp_path):
    with pytest.raises(DataError, match=r"all 4 were rejected, see rejected.csv"):
        build(tmp_path, nothing)


def test_images_can_be_corrected_after_all_were_rejected(tmp_path):
    with pytest.raises(DataError, match="all 4 were rejected"):
        build(tmp_path / "out", nothing)
    corrected = {"files": "corrected"}
    sizes = {"train": [1]}
    first = partial(planned_samples, "train")
    build_shards(tmp_path / "out", sizes, lambda split, shard: first(shard), 1, [], 4, corrected)
    assert sorted(contents(tmp_path / "out")) == [
        "manifest.json",
        *(f"train/{modality}-000000.tar" for modality in ("depth", "mask", "rays", "rgb")),
    ]


def test_a_record_that_vanishes_is_told(tmp_path):
    def spoiled(split, shard):
        yield from planned_samples(split, shard)
        (tmp_path / ".progress/train-000000.json").unlink(missing_ok=True)

    with pytest.raises(DataError, match=r"train-000000.json vanished before all shards were writ"):
        build(tmp_path, spoiled)
    assert not (tmp_path / "manifest.json").exists()


def test_what_a_killed_process_left_is_removed(tmp_path):
    build(tmp_path / "whole")
    left = [tmp_path / "parts" / name for name in ("train/rgb-000009.tar", "manifest.json")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + ".4711.partial").write_bytes(b"half")
    build(tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    (tmp_path / "parts/.progress").mkdir()
    build(tmp_path / "parts", nothing)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert not (tmp_path / "parts/.progress").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_images_while_a_shard_is_written(tmp_path, monkeypatch, workers):
    steps: list[int] = []

    def count(images):
        steps.append(images)
        if images:
            (tmp_path / "moved").touch()

    @contextmanager
    def bar(done, total):
        yield count

    monkeypatch.setattr(driver, "progress_bar", bar)
    make = partial(waiting_samples, tmp_path / "moved")
    build_shards(tmp_path / "out", {"train": [2]}, make, workers, [], 4, {})
    assert sum(steps) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_the_build_in_one_sentence(tmp_path, workers):
    with pytest.raises(DataError, match="the disk is full while writing to") as caught:
        build(tmp_path, full_disk, workers)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*-000001.tar"))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"parameters": 3}', b"[" * 10**5])
def test_damaged_notes_of_an_unfinished_build_are_named(tmp_path, content):
    (tmp_path / ".progress").mkdir()
    (tmp_path / ".progress/plan.json").write_bytes(content)
    with pytest.raises(DataError, match=r"plan.json is damaged, .*: remove its folder, or choose"):
        build(tmp_path)
    (tmp_path / ".progress/plan.json").unlink()
    (tmp_path / ".progress/train-000001.json").write_bytes(content)
    with pytest.raises(DataError, match=r"train-000001.json is damaged: remove it and run"):
        build(tmp_path)
    (tmp_path / ".progress/train-000001.json").unlink()
    assert build(tmp_path).samples("train") == 8


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"manifest.json is not a shard manifest"):
        build(tmp_path)
