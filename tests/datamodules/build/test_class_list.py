"""Classes are named by arguments or in text files as people's editors write them."""

import os
from pathlib import Path

import pytest

from datamodules.build.class_list import ClassList, read_classes
from datamodules.errors import DataError

THERE = ("cat", "great", "great white shark", "n01440764", "caf\udce9")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_text_files_of_any_system(tmp_path: Path, mark: bytes, end: bytes):
    lines = ["n01440764 tench, Tinca tinca", "", "great white shark", " cat ", "great big", ""]
    path = tmp_path / "list.txt"
    path.write_bytes(mark + end.join(line.encode() for line in lines))
    assert read_classes(str(path), THERE, "photos") == ClassList(
        ("n01440764", "great white shark", "cat", "great"),
        ("tench, Tinca tinca", "great white shark", "cat", "big"),
    )


@pytest.mark.parametrize("typed", ["great white shark", ["great white shark"]])
def test_an_argument_may_have_spaces(typed):
    assert read_classes(typed, THERE, "photos").folders == ("great white shark",)


def test_an_argument_may_have_a_name_for_people():
    found = read_classes(["cat", "great big fish"], THERE, "photos")
    assert found == ClassList(("cat", "great"), ("cat", "big fish"))


def test_names_that_are_no_text_are_given_as_they_are_or_escaped(tmp_path: Path):
    (tmp_path / "list.txt").write_text("caf%E9\n")
    for typed in (str(tmp_path / "list.txt"), ["caf\udce9"], "caf%E9"):
        assert read_classes(typed, THERE, "photos") == ClassList(("caf\udce9",), ("caf%E9",))
    assert read_classes(None, THERE, "photos").names[-1] == "caf%E9"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("cat\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        ("cat\n".encode("utf-16-be"), "is UTF-16 or no text: save it as UTF-8"),
        ("cat\n".encode("utf-32"), "is UTF-32: save it as UTF-8"),
        (b"cat\ncaf\xe9\n", "is not UTF-8 in line 2, perhaps Latin-1: save it as UTF-8"),
        (b" \n\n", "names no class: name at least one"),
        (b"cat\ngreat\ncat a cat\n", "class cat is named twice in the class list: name it once"),
        (b"cow\n", "class 'cow' of the class list is not in photos"),
        (b"red cow\n", "class 'red' of the class list is not in photos; nor is 'red cow'"),
    ],
)
def test_lists_that_cannot_be_taken_are_told(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_classes([str(path)], THERE, "photos")


@pytest.mark.parametrize("name", ["absent.txt", ".", "a\0b"])
def test_what_is_neither_class_nor_file_is_told(name: str):
    with pytest.raises(DataError, match=r"is no class of photos, and as a list of classes it can"):
        read_classes([name], THERE, "photos")


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"it cannot be read: .*list.txt is a FIFO, not a file\.$"):
        read_classes([str(tmp_path / "list.txt")], THERE, "photos")


def test_an_empty_argument_names_no_class():
    with pytest.raises(DataError, match="--classes names no class: name at least one"):
        read_classes([""], THERE, "photos")
