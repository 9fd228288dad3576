import json
import os

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.files import (
    ONLY,
    load_arrays,
    remove_partials,
    replacing,
    write_atomically,
    write_json,
)


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


def test_arrays_of_npy_and_npz_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "b.npz", x=np.arange(2), y=np.zeros(1))
    assert load_arrays(tmp_path / "a.npy", "--a")[ONLY].tolist() == [0, 1, 2]
    assert sorted(load_arrays(str(tmp_path / "b.npz"), "--b")) == ["x", "y"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY nonsense"])
def test_a_file_that_holds_no_arrays_is_named(tmp_path, content):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*: check --cache"):
        load_arrays(tmp_path / "a.npz", "--cache")
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a.npz can't be read as .npz \("):
        load_arrays(tmp_path / "a.npz", "--cache")


def test_json_is_written_whole_and_read_back(tmp_path):
    path = tmp_path / "run" / "result.json"
    write_json(path, {"psnr": 20.5, "name": "a"})
    write_json(path, {"psnr": 21.5})
    assert json.loads(path.read_text()) == {"psnr": 21.5}
    assert path.read_text().endswith("}\n")
    assert [p.name for p in path.parent.iterdir()] == ["result.json"]
