import errno
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from photo_folders import CLASSES, everything, files, photograph, write

from datamodules.build import driver
from datamodules.build.encode import encode_depth
from datamodules.build.search import SourceImage
from datamodules.build.shards import shards, split_images
from datamodules.build.sources import find_images
from datamodules.errors import DataError


def test_folders_with_masks_and_depth(photos):
    sidecars = {"masks": str(photos / "masks"), "depth": str(photos / "depth")}
    manifest = write(photos, **sidecars)
    assert manifest.classes == CLASSES
    assert manifest.samples("train") + manifest.samples("val") == 10
    batches = everything(photos / "out", mask=True, depth=True)
    assert len({batch.keys[0] for batch in batches}) == 10
    for batch in batches:
        name, number = batch.keys[0].split("_")
        assert batch.label.item() == CLASSES.index(name)
        assert batch.image.float().mean().item() == pytest.approx(
            40 * CLASSES.index(name) + 8 * int(number), abs=3
        )
        assert batch.mask.unique().tolist() == [int(number) % 3]
        assert batch.depth.int().unique().tolist() == [65535]


def test_same_inputs_same_bytes_and_seeds_differ(photos):
    write(photos, "one")
    write(photos, "two", workers=2)
    assert files(photos / "one") == files(photos / "two")
    write(photos, "other", seed=1)
    assert (
        files(photos / "other")["train/rgb-000000.tar"]
        != files(photos / "one")["train/rgb-000000.tar"]
    )


def test_shards_mix_classes_and_the_split_does_not_depend_on_the_seed():
    images = [SourceImage(f"k{n}", n // 100, "", -1, 0, "") for n in range(400)]
    first, second = (split_images(images, 0.1, seed) for seed in (0, 1))
    assert {image.key for image in first["val"]} == {image.key for image in second["val"]}
    assert 20 <= len(first["val"]) <= 60
    assert first["train"] != second["train"]
    assert {image.label for image in first["train"][:30]} == {0, 1, 2, 3}
    grown = split_images([*images, SourceImage("new", 0, "", -1, 0, "")], 0.1, 0)
    assert {image.key for image in first["val"]} <= {image.key for image in grown["val"]}


def test_imagenet_tars_hold_the_same_images_as_folders(photos):
    (photos / "tars").mkdir()
    for name in CLASSES:
        with tarfile.open(photos / f"tars/{name}.tar", "w") as tar:
            for path in sorted((photos / "images" / name).iterdir()):
                tar.add(path, f"{name}_{path.name}")
    options = {"resolution": 8, "workers": 1}
    shards(str(photos / "tars"), str(photos / "from_tars"), **options)
    shards(str(photos / "images"), str(photos / "from_folders"), **options)
    tars, folders = files(photos / "from_tars"), files(photos / "from_folders")
    assert {k: v for k, v in tars.items() if k != "manifest.json"} == {
        k: v for k, v in folders.items() if k != "manifest.json"
    }


def test_every_image_of_a_class_tar_is_taken(photos):
    (photos / "tars").mkdir()
    names = ("IMG.1.jpg", "IMG.2.jpg", "a/7.jpg", "b/7.JPG", "./8.jpg", "cat/9.jpg", "cat_10.png")
    with tarfile.open(photos / "tars/cat.tar", "w") as tar:
        for name in (*names, "README.txt"):
            tar.add(photos / "images/cat/0.jpg", name)
    images = find_images(str(photos / "tars"), None).images
    assert [image.key for image in images] == [
        "cat_IMG-1",
        "cat_IMG-2",
        "cat_a_7",
        "cat_b_7",
        "cat_8",
        "cat_9",
        "cat_10",
    ]
    assert [image.name for image in images][:3] == ["cat/IMG.1", "cat/IMG.2", "cat/a/7"]
    assert {image.read() for image in images} == {photograph(0)}
    with tarfile.open(photos / "tars/cat.tar", "a") as tar:
        tar.add(photos / "images/cat/0.jpg", "a_7.jpg")
    with pytest.raises(DataError, match=r"cat.tar:a/7.jpg and .*cat.tar:a_7.jpg would both be nam"):
        find_images(str(photos / "tars"), None)


def give_other_depth(photos: Path) -> None:
    noise = np.random.default_rng(0)
    for path in (photos / "depth").rglob("*.png"):
        path.write_bytes(encode_depth(noise.integers(1, 5000, (12, 16), np.uint16)))


CHANGES = {
    "images": lambda photos: (photos / "images/cat/1.jpg").write_bytes(photograph(3) + b"more"),
    "masks": lambda photos: (photos / "masks/cat/1.png").unlink(),
    "depth": give_other_depth,
}


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("what", CHANGES)
def test_changed_files_are_not_mixed_with_shards_of_others(photos, monkeypatch, what, finished):
    sidecars = {"masks": str(photos / "masks"), "depth": str(photos / "depth")}
    if finished:
        write(photos, **sidecars)
    else:
        monkeypatch.setattr(driver, "_finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(photos, **sidecars)
        monkeypatch.undo()
    before = files(photos / "out")
    CHANGES[what](photos)
    state = "already holds shards written" if finished else "holds an unfinished build"
    sentence = rf"{state} with other settings or files \({what} '[^']*', now '[^']*'\)"
    with pytest.raises(DataError, match=sentence):
        write(photos, **sidecars)
    assert files(photos / "out") == before


def test_moved_files_are_the_same_files(photos, capsys):
    write(photos, masks=str(photos / "masks"), depth=str(photos / "depth"))
    before = files(photos / "out")
    moved = photos / "another/place"
    moved.mkdir(parents=True)
    for folder, name in (("images", "photos"), ("masks", "m"), ("depth", "d"), ("out", "shards")):
        shutil.move(photos / folder, moved / name)
    assert "already complete" not in capsys.readouterr().out
    options = {"resolution": 8, "workers": 1, "samples_per_shard": 4, "val_fraction": 0.2}
    shards(
        str(moved / "photos"),
        str(moved / "shards"),
        masks=str(moved / "m"),
        depth=str(moved / "d"),
        **options,
    )
    assert f"{moved}/shards: already complete, nothing to do" in capsys.readouterr().out
    assert files(moved / "shards") == before


def test_a_full_disk_under_the_lists_is_one_sentence(photos, monkeypatch):
    def full(path, text, really=Path.write_text):
        if path.suffix == ".jsonl":
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(path, text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError, match=r"^the disk is full while writing to .*wild3d-"):
        write(photos)
