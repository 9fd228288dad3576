import io
import os
import tarfile

import pytest
import webdataset

from datamodules.tar_index import index_tar


def index(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = index_tar(descriptor)
        return found, [os.pread(descriptor, size, offset) for offset, size in found.payload]
    finally:
        os.close(descriptor)


def write(path, members, tar_format):
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_keys_and_contents_of_every_tar_format(tmp_path, tar_format):
    long = "n" * (80 if tar_format == tarfile.USTAR_FORMAT else 95)
    members = [
        ("./a/one.jpg", b"first"),
        ("./a/one.json", b"{}"),
        ("two.depth.png", b"x" * 512),
        (f"ä{long}.jpg", b""),
    ]
    write(tmp_path / "t.tar", members, tar_format)
    found, contents = index(tmp_path / "t.tar")
    assert found.keys == ("one", "two", f"ä{long}")
    assert found.extensions == ("jpg", "depth.png", "jpg")
    assert contents == [b"first", b"x" * 512, b""]
    assert found.record[:, 1].tolist() == [2, 0, 0]
    assert found.fault is None


def test_tars_of_webdataset(tmp_path):
    with webdataset.TarWriter(str(tmp_path / "w.tar")) as writer:
        writer.write({"__key__": "a", "json": {"label": 1}, "jpg": b"image"})
    found, contents = index(tmp_path / "w.tar")
    assert (found.keys, contents) == (("a",), [b"image"])
    assert found.record[0, 1] > 0


def test_what_precedes_a_break_is_kept(tmp_path):
    path = tmp_path / "t.tar"
    write(path, [(f"{n}.jpg", bytes(1000)) for n in range(3)], tarfile.USTAR_FORMAT)
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * 1536 + 700])
    found, _ = index(path)
    assert (found.keys, found.fault) == (("0", "1"), "it is cut off after 3772 bytes")
    path.write_bytes(whole[:1536] + b"?" * 20 + whole[1556:])
    found, _ = index(path)
    assert (found.keys, found.fault) == (("0",), "the header at byte 1536 is corrupt")
