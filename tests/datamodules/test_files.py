import contextlib
import io
import json
import os
import zipfile

import numpy as np
import pytest
from hostile import mutations

from datamodules.errors import DataError
from datamodules.files import (
    ONLY,
    load_arrays,
    open_regular,
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


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def announcing(shape: str, dtype: str = "<f4", version: bytes = b"\x01\0") -> bytes:
    """An npy that holds eight bytes, whatever its header says."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + bytes(8)


def npz(compression: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


ROW = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "stored",
    [ROW, np.asfortranarray(ROW), ROW.astype(">f4"), ROW.astype(">i8"), ROW[:0], np.array("text")],
)
@pytest.mark.parametrize("pack", [npy, lambda array: npz(a=npy(array))])
def test_arrays_of_any_layout_are_read_in_native_order(tmp_path, stored, pack):
    (tmp_path / "a.npz").write_bytes(pack(stored))
    (found,) = load_arrays(tmp_path / "a.npz", "--a").values()
    assert found.dtype.isnative
    assert (found.shape, found.dtype.kind) == (stored.shape, stored.dtype.kind)
    assert (found == stored).all()


HEADERS = [
    (announcing("(1000000000000,)"), r"are \(1000000000000,\) float32, at most"),
    (announcing("(2, -1)"), "at most"),
    (announcing("(3,)"), r"have 8 bytes, \(3,\) float32 announced"),
    (announcing("(1,)"), r"have 9 bytes|have 8 bytes|have 5 bytes"),
    (announcing("()", "<U500000000"), "at most"),
    (announcing("(" * 500), "cannot be read"),
    (npy(np.array([0x7FFFFFFF], np.uint32).view("<U1")), "hold what is no character"),
    (announcing("(2,)", "nonsense"), "cannot be read"),
    (announcing("(2,)", version=b"\x02\0"), "are no npy of version 1.0|cannot be read"),
    (announcing("(2,)", version=b"\x09\0"), "are no npy of version 1.0|cannot be read"),
    (npy(np.array([{}, []], object)), "at most|cannot be read"),
    (npy(np.zeros(2, [("a", "f4")])), "at most"),
]


@pytest.mark.parametrize(("content", "reason"), HEADERS)
@pytest.mark.parametrize("pack", [bytes, lambda content: npz(a=content)])
def test_headers_that_lie_are_refused_before_memory_is_taken(tmp_path, content, reason, pack):
    (tmp_path / "a.npz").write_bytes(pack(content))
    with pytest.raises(DataError, match=rf"a.npz can't be read as .npz \(.*({reason})"):
        load_arrays(tmp_path / "a.npz", "--cache")


def test_archives_do_not_unpack_without_end(tmp_path):
    zeros = npy(np.zeros(2**26, np.float32))
    bomb = npz(a=zeros, b=zeros)
    assert len(bomb) < 2**20
    (tmp_path / "a.npz").write_bytes(bomb)
    with pytest.raises(DataError, match=r"it would unpack to 536871\d+ bytes, more than 268435456"):
        load_arrays(tmp_path / "a.npz", "--cache")
    (tmp_path / "a.npz").write_bytes(npz(zipfile.ZIP_LZMA, a=npy(ROW)))
    with pytest.raises(DataError, match="its a are compressed otherwise than by deflate"):
        load_arrays(tmp_path / "a.npz", "--cache")


def test_no_bytes_make_the_reader_of_arrays_fail(tmp_path):
    path = tmp_path / "a.npz"
    for whole in (npy(ROW), npz(a=npy(ROW), b=npy(np.array("text")))):
        for content in mutations(whole, 700):
            path.write_bytes(content)
            with contextlib.suppress(DataError):
                load_arrays(path, "--cache")


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, kind in (("fifo", "a FIFO"), (".", "a folder"), ("/dev/null", "a device")):
        with pytest.raises(DataError, match=f"is {kind}, not a file"):
            open_regular(tmp_path / path)
    (tmp_path / "a").write_bytes(b"abc")
    descriptor = open_regular(tmp_path / "a")
    assert os.read(descriptor, 9) == b"abc"
    os.close(descriptor)
