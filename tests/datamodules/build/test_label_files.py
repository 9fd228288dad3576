"""Label files of other tools beside images: matched by name, cut and resized as the images were."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.build.driver import build_shards
from datamodules.build.label_files import (
    FileLabels,
    MapReading,
    check_some_match,
    files_by_key,
    fitted,
)
from datamodules.build.shards import shards
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.image_bytes import decode_map
from datamodules.picture import PictureError
from datamodules.remote import read_manifest

SIZE = (60, 40)  # of the photographs, wider than high
SIDE = 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Shards of the middle squares of four photographs of two classes."""
    for name in ("cat/one", "cat/two", "dog/three", "dog/four"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = len(name)
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    shards(
        str(tmp_path / "photos"),
        str(tmp_path / "shards"),
        SIDE,
        val_fraction=0.0,
        image_format="png",
    )
    return tmp_path / "shards"


def labels(root: Path, files: Path, kind="depth", values=None) -> dict:
    reading = MapReading(kind, values or {})
    of = FileLabels(str(root), files_by_key(str(files)), reading, squared=True)
    manifest = read_manifest(str(root))
    return {label.key: label for shard in manifest.splits["train"] for label in of("train", shard)}


def columns(height: int, width: int) -> np.ndarray:
    """Depth that tells the column: 1 in the leftmost, `width` in the rightmost."""
    return np.broadcast_to(np.arange(1, width + 1), (height, width)).astype(np.float32)


def test_files_are_matched_cut_and_resized(root: Path, tmp_path: Path) -> None:
    files = tmp_path / "depth"
    (files / "cat").mkdir(parents=True)
    (files / "dog").mkdir()
    np.save(files / "cat" / "one_depth.npy", columns(40, 60).astype(np.float16))  # as the photo
    Image.fromarray(np.uint16(1000 * columns(20, 30))).save(files / "cat" / "two.png")  # half of it
    np.save(files / "dog" / "three-disp.npy", columns(20, 20))  # as the image
    found = labels(root, files)
    assert set(found) == {"cat_one", "cat_two", "dog_three", "dog_four"}
    assert found["dog_four"].unknown == "there is no file of its name"
    for key, first, last in (("cat_one", 12, 50), ("cat_two", 6, 25), ("dog_three", 1, 20)):
        assert found[key].unknown is None
        disparity = decode_map(found[key].content, 16, (SIDE, SIDE), "depth").astype(float)
        # The middle square begins at a sixth of the width and ends at five.
        assert disparity[0, 0] / disparity[0, -1] == pytest.approx(last / first, rel=0.02)
        assert (disparity[0] == disparity[-1]).all()


def test_what_is_refused_says_why(root: Path, tmp_path: Path) -> None:
    files = tmp_path / "depth" / "cat"
    files.mkdir(parents=True)
    np.save(files / "one.npy", np.full((40, 60), -1.0))
    (files / "two.npy").write_bytes(b"garbage")
    found = labels(root, files.parent)
    assert found["cat_one"].unknown == "no number in it is finite and above 0"
    assert "can't be read as .npy" in found["cat_two"].unknown
    assert not decode_map(found["cat_two"].content, 16, (SIDE, SIDE), "depth").any()


def test_a_damaged_image_ends_nothing(tmp_path: Path) -> None:
    def samples(split: str, shard: int):
        yield EncodedSample("a", b"no picture", "png", {"label": 0, "class": "a"})

    build_shards(tmp_path / "shards", {"train": [1]}, samples, 1, ["a"], None, {"tool": "test"})
    (tmp_path / "files").mkdir()
    np.save(tmp_path / "files" / "a.npy", columns(1, 1))
    found = labels(tmp_path / "shards", tmp_path / "files")
    assert decode_map(found["a"].content, 16, (1, 1), "depth").tolist() == [[65535]]


def test_numbers_of_masks_are_given_codes(root: Path, tmp_path: Path) -> None:
    files = tmp_path / "masks"
    files.mkdir()
    mask = np.where(columns(40, 60) > 30, 255, 0).astype(np.uint8)
    Image.fromarray(mask).save(files / "cat_one_mask.png")
    Image.fromarray(mask // 2).save(files / "cat_two.png")
    found = labels(root, files, "mask", {0: 0, 255: 1})
    codes = decode_map(found["cat_one"].content, 8, (SIDE, SIDE), "mask")
    assert codes[0].tolist() == [0] * 10 + [1] * 10
    assert found["cat_two"].unknown == "it holds 127, which --codes says nothing of"
    assert (decode_map(found["dog_four"].content, 8, (SIDE, SIDE), "mask") == 255).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("depth", [65535, 32768, 0]),
        ("disparity", [32768, 65535, 0]),
        ("relative", [43691, 65535, 1]),
    ],
)
def test_numbers_mean_what_is_said(kind: str, expected: list[int]) -> None:
    content = MapReading(kind).encoded(np.array([[1, 2, -1]], np.int16))
    found = decode_map(content, 16, (1, 3), "depth")[0].tolist()
    assert found == pytest.approx(expected, rel=0.01)


def test_a_map_of_other_proportions_is_refused() -> None:
    with pytest.raises(PictureError, match=r"it is 60 x 40, of other proportions than its image"):
        fitted(columns(40, 60), (20, 25), squared=True)
    with pytest.raises(PictureError, match="of other proportions"):
        fitted(columns(40, 60), (20, 20), squared=False)


def test_a_map_a_pixel_off_its_proportions_is_taken() -> None:
    """Networks round sizes to multiples."""
    assert fitted(columns(41, 61), (40, 60), squared=False).shape == (40, 60)


def test_two_files_of_an_image_are_refused(tmp_path: Path) -> None:
    for name in ("a_disp.npy", "a_depth.npy"):
        np.save(tmp_path / name, columns(2, 2))
    with pytest.raises(DataError, match=r"a_depth.npy and .*a_disp.npy are both of a: keep one"):
        files_by_key(str(tmp_path))


def test_names_that_end_like_a_tail_are_names(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for name in ("b_seg", "photo-raw", "photo", "x_depth"):
        np.save(tmp_path / "cat" / f"{name}.npy", columns(2, 2))
    found = {key: path.stem for key, path in files_by_key(str(tmp_path)).items()}
    assert found == {
        "cat_b_seg": "b_seg",
        "cat_b": "b_seg",
        "cat_photo-raw": "photo-raw",
        "cat_photo": "photo",
        "cat_x_depth": "x_depth",
        "cat_x": "x_depth",
    }


def test_a_folder_of_other_images_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    np.save(tmp_path / "files" / "z.npy", columns(2, 2))
    files = files_by_key(str(tmp_path / "files"))
    with pytest.raises(DataError, match=r"has the name of an image in .*: they are of z and so"):
        check_some_match(str(root), files)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no file that ends in \.png"):
        files_by_key(str(tmp_path))
    with pytest.raises(DataError, match="which is no folder"):
        files_by_key(str(tmp_path / "nothing"))
