import os

import pytest

from datamodules.files import remove_partials, replacing, write_atomically


def fail_half_way(path) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError


def test_the_old_file_stays_when_writing_fails(tmp_path):
    path = tmp_path / "deep" / "a.bin"
    write_atomically(path, b"\x00\xff")
    with pytest.raises(RuntimeError):
        fail_half_way(path)
    assert path.read_bytes() == b"\x00\xff"
    write_atomically(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert os.listdir(path.parent) == ["a.bin"]


def test_only_what_replacing_leaves_is_removed(tmp_path):
    kept = {"movie.partial", "a.tar"}
    for name in (*kept, "a.tar.12.partial"):
        (tmp_path / name).touch()
    remove_partials(tmp_path)
    remove_partials(tmp_path / "absent")
    assert set(os.listdir(tmp_path)) == kept
