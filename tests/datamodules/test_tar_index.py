import bz2
import gzip
import io
import lzma
import os
import tarfile
import time

import pytest
import webdataset
from hostile import mutations

from datamodules.tar_index import index_tar, list_members


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


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + bytes(1024)


def header(
    name: bytes = b"b.jpg", size: bytes = b"00000000003\0", kind: bytes = b"0", prefix: bytes = b""
) -> bytes:
    """A ustar header with the right checksum, whatever it says."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def content(text: bytes) -> bytes:
    return text.ljust(-(-len(text) // 512) * 512, b"\0")


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def pax(kind: bytes = b"x", **records: str) -> bytes:
    """An extended header with records."""
    text = b""
    for name, value in records.items():
        body = f" {name.replace('__', '.')}={value}\n".encode()
        length = len(body) + 1
        length += len(str(length)) - 1
        length = len(body) + len(str(length))
        text += str(length).encode() + body
    return header(b"pax", octal(len(text)), kind) + content(text)


ABC = content(b"abc")
GOOD = header(b"a.jpg") + ABC


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        (header(size=b"-0000001000\0"), "header at byte 1024 is corrupt: it has no valid size"),
        (header(size=b"\xff" * 12), "header at byte 1024 is corrupt: it has no valid size"),
        (header(size=b"0o7"), "header at byte 1024 is corrupt: it has no valid size"),
        (header(size=b"1_0"), "header at byte 1024 is corrupt: it has no valid size"),
        (header(size=b"+7"), "header at byte 1024 is corrupt: it has no valid size"),
        (header(size=b"99"), "header at byte 1024 is corrupt: it has no valid size"),
        (header(size=b"77777777777\0"), "it is cut off after"),
        (header(size=b"\x80" + b"\x7f" * 11), "it is cut off after"),
        (header(kind=b"S") + ABC, "the file at byte 1024 is sparse: pack it without --sparse"),
        (pax(GNU__sparse__major="1") + header() + ABC, "the file at byte 2048 is sparse"),
        (header(kind=b"M") + ABC, "the file at byte 1024 continues one of another archive"),
        (
            header(kind=b"L", size=octal(2**21)) + bytes(2**21),
            "extended header at byte 1024 has 2097",
        ),
        (
            header(kind=b"x", size=octal(2**21)) + bytes(2**21),
            "extended header at byte 1024 has 2097",
        ),
        (header(kind=b"L", size=octal(2**33 - 1)), "it is cut off after"),
        (header(kind=b"x") + ABC, "the extended header at byte 1024 is corrupt"),
        (header(kind=b"x") + content(b"99 a=b\n"), "the extended header at byte 1024 is corrupt"),
        (pax(size="-5") + header() + ABC, "extended header before byte 2048 has no valid size"),
        (pax(size="9" * 30) + header() + ABC, "extended header before byte 2048 has no valid size"),
        (pax(size="9" * 12) + header() + ABC, "it is cut off after"),
        (pax(b"g", size="9" * 12) + header() + ABC, "it is cut off after"),
        (pax(b"g", path="c.jpg") + header() + ABC, "header at byte 1024 gives all files one name"),
    ],
)
def test_headers_that_lie_are_refused_with_their_offset(tmp_path, rest, fault):
    (tmp_path / "t.tar").write_bytes(tar(GOOD, rest))
    found, contents = index(tmp_path / "t.tar")
    assert found.fault is not None
    assert fault in found.fault
    assert (found.keys, contents) == (("a",), [b"abc"])


@pytest.mark.parametrize(
    ("rest", "names"),
    [
        (header(size=b"\x80" + bytes(10) + b"\x03") + ABC, ["b.jpg"]),
        (header(prefix=b"long/folder") + ABC, ["long/folder/b.jpg"]),
        (header(kind=b"7") + ABC, ["b.jpg"]),
        (header(b"folder/", octal(0), b"5"), []),
        (header(b"folder/", octal(0), b"\0"), []),
        (header(b"link.jpg", octal(9999), b"2"), []),
        (header(b"link.jpg", octal(9999), b"1"), []),
        (header(b"device.jpg", octal(9999), b"3"), []),
        (header(b"fifo.jpg", octal(9999), b"6"), []),
        (header(b"K", octal(3), b"K") + ABC + header() + ABC, ["b.jpg"]),
        (pax(path="x" * 300 + ".jpg") + header() + ABC, ["x" * 300 + ".jpg"]),
        (pax(b"g", comment="of git") + header() + ABC, ["b.jpg"]),
        (pax(size="3") + header(size=octal(0)) + ABC, ["b.jpg"]),
        (2000 * pax(comment="again") + header() + ABC, ["b.jpg"]),
        (2000 * (header(kind=b"L") + ABC) + header() + ABC, ["abc"]),
        (
            header(b"../../up/b.jpg") + ABC + header(b"/top/c.jpg") + ABC,
            ["../../up/b.jpg", "/top/c.jpg"],
        ),
    ],
)
def test_what_other_programs_write_is_read(tmp_path, rest, names):
    (tmp_path / "t.tar").write_bytes(tar(GOOD, rest))
    with (tmp_path / "t.tar").open("rb") as file:
        members, fault = list_members(file.fileno())
    assert fault is None
    assert [member.name for member in members] == ["a.jpg", *names]
    assert {member.size for member in members} == {3}


@pytest.mark.parametrize(
    ("compress", "sentence"),
    [
        (gzip.compress, "it is compressed by gzip: unpack it with `gunzip`"),
        (bz2.compress, "it is compressed by bzip2: unpack it with `bunzip2`"),
        (lzma.compress, "it is compressed by xz: unpack it with `unxz`"),
        (lambda content: b"\x28\xb5\x2f\xfd" + content, "it is compressed by zstd"),
        (
            lambda content: b"PK\x03\x04" + content,
            "it is compressed by zip: unpack it with `unzip`",
        ),
        (lambda content: lzma.compress(content, lzma.FORMAT_ALONE), "unpack it with `unlzma`"),
        (lambda content: b"\x1f\x9d" + content, "unpack it with `uncompress`"),
        (lambda content: b"LZIP" + content, "unpack it with `lzip -d`"),
        (lambda content: b"7z\xbc\xaf\x27\x1c" + content, "unpack it with `7z x`"),
        (lambda content: b"Rar!\x1a\x07" + content, "unpack it with `unrar x`"),
    ],
)
def test_a_compressed_tar_is_told_how_to_unpack(tmp_path, compress, sentence):
    (tmp_path / "t.tar").write_bytes(compress(tar(GOOD)))
    found, _ = index(tmp_path / "t.tar")
    assert sentence in str(found.fault)
    assert found.keys == ()


def test_keywords_without_meaning_cost_no_time_for_every_file(tmp_path):
    keywords = {f"k{number}": "" for number in range(20_000)}
    path = tmp_path / "t.tar"
    path.write_bytes(tar(pax(b"g", **keywords), 10_000 * header(size=octal(0)), GOOD))
    start = time.process_time()
    assert index(path)[0].keys == ("b", "a")
    assert time.process_time() - start < 3  # a copy of the keywords for every file takes ten


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"caf\xe9.jpg", "caf%E9"),
        (b"a\nb\x1b.jpg", "a%0Ab%1B"),
        ("caf\xe9.jpg".encode(), "caf\xe9"),
    ],
)
def test_keys_are_text_in_one_line(tmp_path, name, key):
    (tmp_path / "t.tar").write_bytes(tar(header(name) + ABC))
    assert index(tmp_path / "t.tar")[0].keys == (key,)


def test_hidden_files_are_no_samples(tmp_path):
    (tmp_path / "t.tar").write_bytes(tar(header(b"./._a.jpg") + ABC, GOOD, header(b".x") + ABC))
    assert index(tmp_path / "t.tar")[0].keys == ("a",)


def test_a_file_whose_name_begins_like_a_compressed_one_is_read(tmp_path):
    (tmp_path / "t.tar").write_bytes(tar(header(b"BZh9.jpg") + ABC))
    assert index(tmp_path / "t.tar")[0].keys == ("BZh9",)


def test_no_bytes_make_the_index_fail_or_reach_beyond_the_file(tmp_path):
    path = tmp_path / "t.tar"
    whole = tar(
        GOOD, pax(path="c.json"), header(), ABC, header(b"c.jpg", kind=b"L"), ABC, header(), ABC
    )
    for changed in mutations(whole, 1500):
        path.write_bytes(changed)
        with path.open("rb") as file:
            for member in list_members(file.fileno())[0]:
                assert member.size >= 0
                assert member.offset + member.size <= len(changed)
            index_tar(file.fileno())
