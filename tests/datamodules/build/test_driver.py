import csv
import os
from pathlib import Path

import pytest
from tiny_samples import PLAN, full_disk, planned_samples

from datamodules.build import writer
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

    monkeypatch.setattr(writer.os, "replace", crash)
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
    with pytest.raises(DataError, match=r"unfinished build with other settings \(seed 0, now 1\)"):
        build(tmp_path / "begun", seed=1)


def test_no_usable_image_at_all(tmp_path):
    with pytest.raises(DataError, match=r"all 4 were rejected, see rejected.csv"):
        build(tmp_path, nothing)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_the_build_in_one_sentence(tmp_path, workers):
    with pytest.raises(DataError, match="the disk is full while writing to") as caught:
        build(tmp_path, full_disk, workers)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*-000001.tar"))
