import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from lightning_modules.inference.photographs import find_images, load_square


def paint(path: Path, size: tuple[int, int] = (4, 4)) -> Path:
    """An image file in folders that may have to be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (255, 0, 0)).save(path)
    return path


def test_folders_stand_for_their_images_in_order(tmp_path: Path) -> None:
    second, first = paint(tmp_path / "many/b.PNG"), paint(tmp_path / "many/a.webp")
    (tmp_path / "many/notes.txt").touch()
    named = paint(tmp_path / "one.jpg")
    assert find_images([str(named), str(tmp_path / "many")]) == [named, first, second]


def test_each_photograph_is_taken_once(tmp_path: Path) -> None:
    photo = paint(tmp_path / "a.jpg")
    assert find_images([str(photo), str(tmp_path), f"{tmp_path}/./a.jpg"]) == [photo]


def test_what_folders_hold_beside_images_is_told(tmp_path: Path, capsys) -> None:
    photo, empty = paint(tmp_path / "many/a.jpg"), tmp_path / "empty"
    for name in ("b.heic", "c.HEIC", "notes", ".DS_Store"):
        (tmp_path / "many" / name).touch()
    empty.mkdir()
    assert find_images([str(tmp_path / "many"), str(empty)]) == [photo, empty]
    sentence = "not taken, no images by their suffix: 2 .heic, 1 without suffix files"
    assert capsys.readouterr().out == f"{tmp_path}/many: {sentence}\n"


def test_what_is_not_there_is_left_to_its_reading(tmp_path: Path) -> None:
    photo, gone = paint(tmp_path / "a.jpg"), tmp_path / "gone.jpg"
    names = [str(photo), str(gone), "x" * 300]
    assert find_images(names) == [photo, gone, Path("x" * 300)]
    for path in find_images(names)[1:]:
        with pytest.raises(DataError, match="is no readable image: it cannot be read: "):
            load_square(path, 8)


def test_what_is_named_and_no_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file or folder nowhere.png: check --images"):
        find_images(["nowhere.png"])
    with pytest.raises(DataError, match=rf"No .jpg, .png or .webp in {tmp_path}: check --images"):
        find_images([str(tmp_path)])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match=rf"{broken} is no readable image"):
        load_square(broken, 8)


def test_images_whose_results_would_have_one_name_are_refused(tmp_path: Path) -> None:
    first, second = paint(tmp_path / "a/cat.png"), paint(tmp_path / "b/cat.jpg")
    with pytest.raises(DataError, match=r"a/cat.png and .*b/cat.jpg would overwrite each other"):
        find_images([str(first), str(second)])


def test_the_central_square_is_upright(tmp_path: Path) -> None:
    # Red left of blue, in a file that says it was taken with the camera on its side.
    wide = Image.new("RGB", (12, 4), (0, 255, 0))
    wide.paste((255, 0, 0), (4, 0, 6, 4))
    wide.paste((0, 0, 255), (6, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise: left is up
    wide.save(tmp_path / "side.png", exif=exif)
    square = load_square(tmp_path / "side.png", 4)
    assert square.shape == (1, 3, 4, 4)
    red, blue = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0])
    assert (square[0, :, 0] == red[:, None]).all()
    assert (square[0, :, 3] == blue[:, None]).all()


def test_tools_see_transparency_and_wide_pixels_as_shards_do(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (9, 200, 9, 0)).save(tmp_path / "cut.png")
    assert (load_square(tmp_path / "cut.png", 4) == 1).all()
    Image.fromarray(np.full((4, 4), 0x8080, np.uint16)).save(tmp_path / "wide.png")
    assert (load_square(tmp_path / "wide.png", 4) == 128 / 255).all()


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    shown = paint(tmp_path / "many/0.jpg")
    for name in ("._0.jpg", ".DS_Store"):
        (tmp_path / "many" / name).write_bytes(b"none")
    assert find_images([str(tmp_path / "many")]) == [shown]
    assert find_images([str(tmp_path / "many/._0.jpg"), str(shown)]) == [shown]
    named = paint(tmp_path / ".mine.jpg")
    assert find_images([str(named)]) == [named]


def test_whatever_is_wrong_with_a_photograph_is_one_error(tmp_path: Path) -> None:
    whole = paint(tmp_path / "whole.png", (64, 64)).read_bytes()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    faults = {"empty.png": b"", "cut.png": whole[:60], "text.png": b"text"}
    for name, content in faults.items():
        (tmp_path / name).write_bytes(content)
    for name in (*faults, "pipe.png", "folder.png", "absent.png"):
        with pytest.raises(DataError, match=rf"{name} is no readable image: it .*[^.]\.$"):
            load_square(tmp_path / name, 8)
    assert find_images([str(tmp_path / "pipe.png")]) == [tmp_path / "pipe.png"]


def test_errors_name_the_option(tmp_path: Path) -> None:
    for name in ("nowhere.png", str(tmp_path)):
        with pytest.raises(DataError, match=r": check --source\.$"):
            find_images([name], "--source")


@pytest.mark.parametrize("name", ["", "x" * 300 + ".jpg", "a\0b.jpg"])
def test_names_that_no_file_can_have_are_told(name: str) -> None:
    with pytest.raises(DataError, match="check --images"):
        find_images([name])


def test_a_folder_whose_files_cannot_be_looked_at_is_named(tmp_path: Path, monkeypatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(DataError, match=r"a.jpg cannot be read: Permission denied; check --images"):
        find_images([str(tmp_path / "a.jpg")])


def test_no_photograph_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^--images is empty: name at least one"):
        find_images([])
