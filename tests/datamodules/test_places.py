import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.files import replacing, write_atomically
from datamodules.places import result_file, results_in

Place = Callable[[str, str], AbstractContextManager[None]]


def test_a_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    with results_in(str(tmp_path / "a" / "b"), "--out"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not any((tmp_path / "a" / "b").iterdir())


def test_what_was_made_for_work_that_failed_goes_unless_it_is_filled(tmp_path: Path) -> None:
    for filled in (False, True):
        with suppress(KeyError), results_in(str(tmp_path / "a" / "b"), "--out"):
            if filled:
                (tmp_path / "a" / "kept").touch()
            raise KeyError
        assert (tmp_path / "a").exists() == filled
        assert not (tmp_path / "a" / "b").exists()


def test_a_folder_that_was_there_stays_when_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), results_in(str(tmp_path), "--out"):
        raise KeyError
    assert tmp_path.exists()


@pytest.mark.parametrize("place", [results_in, result_file])
def test_an_address_is_no_place(place: Place, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(DataError, match="--out is s3://a/b, an address"),
        place("s3://a/b", "--out"),
    ):
        pass
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("place", [results_in, result_file])
@pytest.mark.parametrize("name", ["", "file/x", "x" * 300, "a\0b", "link/x"])
def test_places_that_can_not_be_are_refused_with_the_option(
    place: Place, name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "link")
    named = str(tmp_path / name) if name else ""
    with pytest.raises(DataError, match=r"^--out is "), place(named, "--out"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="which is a file: name a folder"):
        results_in(str(tmp_path / "file"), "--out").__enter__()
    for folder in (f"{tmp_path}", f"{tmp_path}/new/"):
        with pytest.raises(DataError, match="which is a folder: name a file"):
            result_file(folder, "--out").__enter__()
    for place in (results_in, result_file):
        with pytest.raises(DataError, match="a device or a pipe"):
            place(os.devnull, "--out").__enter__()
    with pytest.raises(DataError, match="a part of it is no folder"):
        result_file(str(tmp_path / "file" / "x"), "--out").__enter__()


def test_a_result_that_is_there_stays_as_it_is_while_its_place_is_tried(tmp_path: Path) -> None:
    (tmp_path / "table.md").write_text("old")
    with result_file(str(tmp_path / "table.md"), "--out"):
        assert (tmp_path / "table.md").read_text() == "old"
    with result_file(str(tmp_path / "new" / "table.md"), "--out"):
        assert not any((tmp_path / "new").iterdir())


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.ESTALE])
def test_a_disk_that_takes_no_file_is_found_before_the_work(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("datamodules.places.tempfile.TemporaryFile", refuse)
    reason = os.strerror(number).lower()
    with (
        pytest.raises(DataError, match=rf"--out is .*new, which can't be written to \({reason}"),
        results_in(str(tmp_path / "new"), "--out"),
    ):
        pass
    assert not (tmp_path / "new").exists()


def test_a_full_disk_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"a\.json") as caught:
        write_atomically(path, "new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert [path.read_text(), *os.listdir(tmp_path)] == ["old", "a.json"]


def test_errors_about_other_files_are_told_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")
