"""What `wild3d shards` takes of a source, refuses, and reports."""

import csv
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from photo_folders import CLASSES, bomb, everything, files, photograph, write

from datamodules.build.class_list import ClassList
from datamodules.build.encode import encode_mask
from datamodules.build.keys import make_key
from datamodules.build.shards import shards, split_images
from datamodules.build.sources import find_images
from datamodules.errors import DataError
from lightning_modules.cli.verbs import run_verb


def test_class_lists(photos):
    assert write(photos, classes=["dog"]).classes == ("dog",)
    (photos / "list.txt").write_text("dog a good dog\ncat\n")
    for typed in (str(photos / "list.txt"), [str(photos / "list.txt")]):
        found = find_images(str(photos / "images"), typed)
        assert found.classes == ClassList(("dog", "cat"), ("a good dog", "cat"))
        assert {image.label for image in found.images if image.key.startswith("dog")} == {0}
    with pytest.raises(DataError, match="class 'cow' of the class list is not in"):
        write(photos, "none", classes=["cow", "dog"])
    with pytest.raises(DataError, match=r"^cow is no class of .* as a list of classes it cannot"):
        write(photos, "none", classes=["cow"])


def test_a_class_list_is_given_on_the_command_line(photos):
    (photos / "list.txt").write_text("dog\n")
    args = ["--source", f"{photos}/images", "--out", f"{photos}/out", "--resolution", "8"]
    run_verb("shards", [*args, "--workers", "1", "--classes", f"{photos}/list.txt"])
    assert json.loads((photos / "out/manifest.json").read_text())["classes"] == ["dog"]


def test_loose_images_have_no_class(photos):
    manifest = shards(str(photos / "images/cat"), str(photos / "loose"), resolution=8, workers=1)
    assert manifest.classes == ()
    assert {batch.label.item() for batch in everything(photos / "loose")} == {-1}


def test_unusable_images_are_named(photos):
    (photos / "images/cat/1.jpg").write_bytes(photograph(0)[:150])
    (photos / "images/dog/2.jpg").write_bytes(b"")
    (photos / "images/dog/4.jpg").write_bytes(bomb())
    (photos / "masks/dog/3.png").unlink()
    manifest = write(photos, masks=str(photos / "masks"))
    assert manifest.samples("train") + manifest.samples("val") == 6
    rows = list(csv.reader((photos / "out/rejected.csv").open()))[1:]
    assert {Path(source).name for source, _ in rows} == {"1.jpg", "2.jpg", "3.jpg", "4.jpg"}
    assert all(reason for _, reason in rows)


def test_masks_of_0_and_255_are_refused(photos):
    for path in (photos / "masks").rglob("*.png"):
        path.write_bytes(encode_mask(np.repeat(np.uint8([0, 255]), 96).reshape(12, 16)))
    with pytest.raises(
        DataError, match="masks hold 0 and 255 only, and 255 is unknown: divide them"
    ):
        write(photos, masks=str(photos / "masks"))
    path.write_bytes(encode_mask(np.ones((12, 16), np.uint8)))
    assert write(photos, masks=str(photos / "masks")).samples("train") == 7


def test_what_is_no_image_is_counted(photos, capsys):
    (photos / "images/cat/a.heic").write_bytes(b"")
    (photos / "images/cat/readme").write_bytes(b"")
    for hidden in (".thumbnails", "__MACOSX", "cat/.thumbnails"):
        (photos / "images" / hidden).mkdir()
        (photos / "images" / hidden / "0.jpg").write_bytes(photograph(0))
    assert write(photos).classes == CLASSES
    said = " ".join(capsys.readouterr().out.split())
    assert "not taken, no images by their suffix: 1 .heic, 1 without suffix files" in said
    assert "2 classes of 5 to 5 images" in said


def test_a_source_is_of_one_kind_and_has_images_of_every_class(photos):
    (photos / "images/cow").mkdir()
    with pytest.raises(DataError, match=r"class cow of .* holds no image: remove it, or name the"):
        write(photos)
    (photos / "images/loose.jpg").write_bytes(photograph(0))
    with pytest.raises(DataError, match=r"holds 3 folders and 1 loose images \(loose.jpg\): keep"):
        write(photos)
    assert write(photos, classes=list(CLASSES)).classes == CLASSES
    with tarfile.open(photos / "images/owl.tar", "w") as tar:
        tar.add(photos / "images/loose.jpg", "1.jpg")
    assert write(photos, "mixed", classes=["cat", "owl"]).classes == ("cat", "owl")


def test_sources_without_images_are_told_in_one_sentence(photos):
    (photos / "empty/cat").mkdir(parents=True)
    (photos / "empty/cat/1.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"no image: expected class/name.jpg .*; found 1 .heic\."):
        shards(str(photos / "empty"), str(photos / "out"))
    with pytest.raises(DataError, match="absent is not a folder"):
        shards(str(photos / "absent"), str(photos / "out"))
    with pytest.raises(DataError, match="sidecar folder absent does not exist"):
        write(photos, masks="absent")
    for source in ("", "a\0b"):
        with pytest.raises(DataError, match="is not a folder"):
            shards(source, str(photos / "out"))
    with pytest.raises(DataError, match="sidecar folder '' does not exist"):
        write(photos, masks="")
    assert not (photos / "out").exists()


def test_where_all_images_are_rejected_only_their_list_is_left(photos):
    for path in (photos / "images").rglob("*.jpg"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="no image could be written"):
        write(photos)
    assert list(files(photos / "out")) == ["rejected.csv"]
    assert [path.name for path in (photos / "out").iterdir()] == ["rejected.csv"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"val_fraction": 1.0}, "val_fraction is 1.0"),
        ({"quality": 0}, "quality is 0"),
        ({"resolution": 1_000_000}, "resolution is 1000000, it must be from 1 to 8,192"),
        ({"samples_per_shard": 0}, "samples_per_shard 0"),
    ],
)
def test_settings_out_of_range(photos, settings, sentence):
    with pytest.raises(DataError, match=sentence):
        write(photos, **settings)


def test_keys():
    assert make_key("cat", "a.b/c") == "cat_a-b_c"
    assert make_key("n01", "n01_7") == "n01_7"
    assert (make_key("cat", "cat7"), make_key("cat", "catBlack")) == ("cat7", "catBlack")
    assert (make_key("1", "10"), make_key("cat", "catalog")) == ("1_10", "cat_catalog")
    long = make_key("cat", "x" * 200)
    assert len(long) <= 80
    assert long != make_key("cat", "x" * 201)


def test_two_images_of_one_key_are_refused(photos):
    (photos / "images/cat/1.png").write_bytes(photograph(0))
    with pytest.raises(DataError, match="would both be named cat_1"):
        write(photos)


@pytest.mark.parametrize("out", ["images", "images/cat", "images/new/out", "link/out", "masks/out"])
def test_shards_are_not_written_into_what_is_read(photos, out):
    (photos / "link").symlink_to("images")
    before = files(photos)
    with pytest.raises(DataError, match=r"--out .* which is read, overlap: choose another --out"):
        write(photos, out, masks=str(photos / "masks"))
    assert files(photos) == before


def test_a_source_where_a_split_would_be_written_is_refused(photos):
    (photos / "out").mkdir()
    (photos / "images").rename(photos / "out/train")
    with pytest.raises(DataError, match=r"--out .* overlap"):
        shards(str(photos / "out/train"), str(photos / "out"))


def test_validation_keeps_an_image_where_one_is_left(photos, capsys):
    images = find_images(str(photos / "images"), None).images
    (chosen,) = split_images(images, 0.02, 0)["val"]
    Path(chosen.file).write_bytes(b"broken")
    manifest = write(photos, val_fraction=0.02)
    assert (manifest.samples("train"), manifest.samples("val")) == (8, 1)
    before = files(photos / "out")
    assert write(photos, val_fraction=0.02) == manifest
    assert files(photos / "out") == before
    assert "no image is left for validation" not in capsys.readouterr().out


def test_a_build_without_validation_says_so(photos, capsys):
    for path in list((photos / "images").rglob("*.jpg"))[1:]:
        path.write_bytes(b"broken")
    assert write(photos).samples("train") == 1
    assert "val: no image is left for validation" in capsys.readouterr().out


def test_names_with_brackets_are_reported_as_they_are(photos, capsys):
    (photos / "images/cat/1.jpg").write_bytes(b"broken")
    write(photos, "[bold]out")
    assert f"{photos}/[bold]out/rejected.csv" in capsys.readouterr().out
    name = "x" * 90 + ":cat: y"
    write(photos, name)
    assert f"see {photos}/{name}/rejected.csv\n" in capsys.readouterr().out


def test_no_reason_tells_how_a_file_was_held_in_memory(photos):
    for number, content in enumerate((b"junk", b"", bomb(), photograph(0)[:99])):
        (photos / f"images/cat/{number}.jpg").write_bytes(content)
    write(photos)
    for _, reason in list(csv.reader((photos / "out/rejected.csv").open()))[1:]:
        assert reason.startswith("it ")
        assert "BytesIO" not in reason


@pytest.mark.parametrize("folder", ["images", "images/dog"])
def test_a_folder_that_can_only_be_listed_is_an_error(photos, monkeypatch, folder):
    def access(path, mode):  # as of `chmod 444`, which does not stop root
        return Path(path) != photos / folder

    monkeypatch.setattr("datamodules.build.search.os.access", access)
    with pytest.raises(DataError, match=f"files of folder {photos}/{folder} cannot be opened: P"):
        write(photos)
    assert not (photos / "out" / "manifest.json").exists()
