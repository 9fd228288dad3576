"""Sources as people have them: links, hidden files, names that are no text, what is no file."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from datamodules.build.encode import encode_jpeg
from datamodules.build.shards import shards
from datamodules.build.sources import find_images
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.cli.main import main

JPEG = encode_jpeg(np.full((9, 9, 3), 80, np.uint8))


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG)
    return folder


def keys(source: Path, classes=None) -> list[str]:
    return [image.key for image in find_images(str(source), classes).images]


def test_links_inside_class_folders_are_followed(tmp_path):
    source = fill(tmp_path / "photos", "cat/0.jpg", "dog/0.jpg")
    fill(tmp_path / "elsewhere", "1.jpg", "deep/2.jpg")
    (source / "cat/more").symlink_to(tmp_path / "elsewhere")
    (source / "cat/3.jpg").symlink_to(source / "cat/0.jpg")
    (source / "owl").symlink_to(fill(tmp_path / "owls", "0.jpg"))
    assert keys(source) == [
        *("cat_0", "cat_3", "cat_more_1", "cat_more_deep_2"),
        *("dog_0", "owl_0"),
    ]


@pytest.mark.parametrize("target", [".", "..", "../..", "deep"])
def test_no_folder_is_searched_twice(tmp_path, target):
    source = fill(tmp_path / "photos", "cat/0.jpg", "cat/deep/1.jpg", "dog/0.jpg")
    (source / "cat/zloop").symlink_to(target, target_is_directory=True)
    found = find_images(str(source), None)
    assert [image.key for image in found.images] == ["cat_0", "cat_deep_1", "dog_0"]
    (sentence,) = found.passed.sentences()
    assert sentence.startswith("searched once, though links lead there again: ")
    assert f"{source}/cat/zloop (is " in sentence


def test_a_folder_of_two_classes_is_refused(tmp_path):
    source = fill(tmp_path / "photos", "cat/0.jpg", "dog/0.jpg")
    (source / "cat/more").symlink_to("../dog")
    with pytest.raises(DataError, match=r"cat/more and .*dog are one folder in two classes"):
        find_images(str(source), None)
    assert keys(source, ["cat"]) == ["cat_0", "cat_more_0"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    source = fill(tmp_path / "photos", "cat/0.jpg", "cat/locked/1.jpg")
    really = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"folder .*cat/locked cannot be read: Permission denied"):
        find_images(str(source), None)


def test_hidden_files_are_passed_over_in_folders_and_tars(tmp_path):
    hidden = ("._0.jpg", ".DS_Store", "a/._1.jpg", ".thumbs/2.jpg", "__MACOSX/cat/3.jpg")
    fill(tmp_path / "photos/cat", "0.jpg", *hidden)
    tars = fill(tmp_path / "tars", "._cat.tar")
    with tarfile.open(tars / "cat.TAR", "w") as tar:
        for name in ("./0.jpg", *hidden):
            tar.add(tmp_path / "photos/cat/0.jpg", name)
    for source in (tmp_path / "photos", tars):
        found = find_images(str(source), None)
        assert len(found.images) == 1
        assert not found.passed.sentences()


def test_pipes_are_named_and_never_opened(tmp_path):
    source = fill(tmp_path / "photos", "cat/0.jpg")
    os.mkfifo(source / "cat/pipe.jpg")
    os.mkfifo(source / "pipe.jpg")
    found = find_images(str(source), ["cat"])
    assert [image.key for image in found.images] == ["cat_0"]
    assert found.passed.sentences() == [
        f"not taken, no files: {source}/pipe.jpg, {source}/cat/pipe.jpg"
    ]
    os.mkfifo(source / "dog.tar")
    with pytest.raises(DataError, match=r"dog.tar is a pipe, socket or device, not a tar"):
        find_images(str(source), ["cat", "dog"])


def test_names_that_are_no_text_come_through(tmp_path, capsys):
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xf6tos"))
    fill(source, "caf\udce9/a\udce9.jpg", "caf\udce9/b.jpg", "dog/caf%E9.jpg", "dog/caf\udce9.jpg")
    (source / "dog/bad\udcff.jpg").write_bytes(b"none")
    shards(str(source), str(tmp_path / "out"), resolution=8, workers=1, samples_per_shard=100)
    datamodule = ShardDataModule(str(tmp_path / "out"), 8, 1, num_workers=0, lanes=1)
    datamodule.setup()
    batches = [*datamodule.train_dataloader(), *datamodule.val_dataloader()]
    assert {batch.keys[0] for batch in batches} == {
        *("caf%E9_a%E9", "caf%E9_b", "dog_caf%25E9", "dog_caf%E9"),
    }
    text = (tmp_path / "out/manifest.json").read_text(encoding="utf-8")
    assert json.loads(text)["classes"] == ["caf%E9", "dog"]
    ((path, _),) = list(csv.reader((tmp_path / "out/rejected.csv").open(encoding="utf-8")))[1:]
    assert path.endswith("f%F6tos/dog/bad%FF.jpg")


def test_members_that_are_no_text_come_through(tmp_path):
    (tmp_path / "photos").mkdir()
    with tarfile.open(tmp_path / "photos/caf\udce9.tar", "w") as tar:
        info = tarfile.TarInfo("a\udce9.jpg")
        info.size = len(JPEG)
        tar.addfile(info, io.BytesIO(JPEG))
    (image,) = find_images(str(tmp_path / "photos"), None).images
    assert image.key == "caf%E9_a%E9"
    assert image.where().endswith("/caf%E9.tar:a%E9.jpg")
    assert image.read() == JPEG


@pytest.mark.parametrize(
    ("compress", "program", "remedy"),
    [
        (gzip.compress, "gzip", "gunzip"),
        (bz2.compress, "bzip2", "bunzip2"),
        (lzma.compress, "xz", "unxz"),
    ],
)
def test_a_compressed_tar_is_told_to_be_unpacked(tmp_path, compress, program, remedy):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(fill(tmp_path, "0.jpg") / "0.jpg", "0.jpg")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.tar").write_bytes(compress(buffer.getvalue()))
    with pytest.raises(DataError, match=rf"cat.tar .*compressed by {program}: .*`{remedy}`"):
        find_images(str(tmp_path / "photos"), None)
    (tmp_path / "photos/cat.tar").rename(tmp_path / "photos/cat.tar.gz")
    with pytest.raises(DataError, match=r"found 1 .gz, which must be unpacked first"):
        find_images(str(tmp_path / "photos"), None)


@pytest.mark.parametrize("other", ["cat.TAR", "cat/0.jpg"])
def test_a_class_of_two_entries_is_refused(tmp_path, other):
    source = fill(tmp_path / "photos", other, "cat.tar", "dog/0.jpg")
    assert keys(source, ["dog"]) == ["dog_0"]
    with pytest.raises(DataError, match=r"photos/cat.* and .*photos/cat.* are of one class"):
        find_images(str(source), ["cat"])


def test_a_packed_class_beside_tars_is_told(tmp_path):
    source = fill(tmp_path / "photos", "dog.tar.zst")
    with tarfile.open(source / "cat.tar", "w") as tar:
        tar.add(source / "dog.tar.zst", "0.jpg")
    assert find_images(str(source), None).passed.sentences() == [
        "not taken, no images by their suffix: 1 .zst files, which must be unpacked first"
    ]


def test_a_tar_with_a_negative_size_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    with tarfile.open(tmp_path / "photos/cat.tar", "w") as tar:
        tar.add(fill(tmp_path, "0.jpg") / "0.jpg", "0.jpg")
    content = bytearray((tmp_path / "photos/cat.tar").read_bytes())
    content[124:136] = b"-1000\0".ljust(12, b"\0")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    (tmp_path / "photos/cat.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"cat.tar cannot be used: the header at byte 0 is corrupt"):
        find_images(str(tmp_path / "photos"), None)


@pytest.mark.parametrize("suffix", ["gif", "avif", "jfif", "JPE", "ppm", "tga", "jp2"])
def test_suffixes_of_pictures_are_known(tmp_path, suffix):
    assert keys(fill(tmp_path / "photos", f"cat/0.{suffix}")) == ["cat_0"]


def test_a_file_is_no_source(tmp_path):
    fill(tmp_path, "photos.zip")
    with pytest.raises(DataError, match=r"photos.zip is not a folder: .*, unpack it\."):
        find_images(str(tmp_path / "photos.zip"), None)


def test_a_file_of_very_many_bytes_is_not_read(tmp_path):
    source = fill(tmp_path / "photos", "cat/0.jpg", "cat/1.jpg", "cat/2.jpg")
    os.truncate(source / "cat/0.jpg", 7_000_000_000)  # takes no room
    shards(str(source), str(tmp_path / "out"), resolution=8, workers=1)
    rows = list(csv.reader((tmp_path / "out/rejected.csv").open()))
    assert rows[1][1] == "it has 7,000,000,000 bytes, the limit is 1,000,000,000"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_sentences_about_such_names_are_printed_on_any_terminal(tmp_path, monkeypatch, encoding):
    said = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stderr", said)
    args = ["--source", f"{tmp_path}/caf\udce9ö", "--out", f"{tmp_path}/out"]
    assert main(["shards", *args]) == 2
    said.flush()
    assert rb"caf\udce9" in said.buffer.getvalue()
