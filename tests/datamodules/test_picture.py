"""What is no usable picture is refused with a reason, before its pixels are decoded."""

import gzip
import io
import os
import socket
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.build.maps import read_mask
from datamodules.photograph import read_photograph
from datamodules.picture import PictureError, is_hidden

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "TGA", "QOI")


def saved(kind: str, **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def png_of(width: int, height: int, rows: bytes = bytes(1000), kind: bytes = b"\1\0") -> bytes:
    """A PNG of any rows; kind: bits of a channel and type of colour."""
    header = width.to_bytes(4) + height.to_bytes(4) + kind + b"\0\0\0"
    rows = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + rows + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_refused(kind, share):
    content = saved(kind)
    with pytest.raises(PictureError, match=r"^it "):
        read_photograph(content[: int(share * len(content))])


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_bytes_raise_nothing_else(kind):
    rng, reasons = np.random.default_rng(1), []
    for _ in range(40):
        content = np.frombuffer(saved(kind), np.uint8).copy()
        content[rng.integers(0, min(len(content), 400), 3)] ^= rng.integers(1, 256, 3, np.uint8)
        try:
            assert read_photograph(content.tobytes()).mode == "RGB"
        except PictureError as error:
            reasons.append(str(error))
    assert all(reason.startswith("it ") and "<" not in reason for reason in reasons)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"zz", "it is no picture, or of a kind that cannot be read here"),
        (b"no picture at all", "it is no picture, or of a kind that cannot be read here"),
        (b"%PDF-1.7 and more than that", "it is a PDF, which cannot be read here"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is a HEIC picture, .*: convert it to JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is no picture"),
        (gzip.compress(b"\x89PNG", mtime=0), "it is no picture"),
    ],
)
def test_what_is_no_picture_is_told(content, reason):
    with pytest.raises(PictureError, match=reason):
        read_photograph(content)


def test_whole_files_of_pixels_that_are_not_read_are_not_called_damaged():
    content = bytearray(saved("TIFF"))
    sample_format = content.index(struct.pack("<HHI", 262, 3, 1))
    content[sample_format : sample_format + 12] = struct.pack("<HHII", 262, 3, 1, 32803)  # raw
    with pytest.raises(PictureError, match=r"of a kind that cannot be read here .*: convert it"):
        read_photograph(bytes(content))


def test_pixels_are_limited_by_the_header_without_a_warning():
    modest = read_photograph(png_of(80, 70))
    assert modest.size == (80, 70)
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for side in (12_300, 15_000, 100_000):
            with pytest.raises(
                PictureError,
                match=rf"it has {side} x {side} pixels, the limit is 150,000,000:",
            ):
                read_photograph(png_of(side, side))
        with pytest.raises(PictureError, match="it is damaged"):
            read_photograph(png_of(10_000, 10_000))  # of which Pillow would warn
    assert before == Image.MAX_IMAGE_PIXELS


def test_text_that_expands_without_end_is_refused():
    bomb = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000)))
    content = saved("PNG")
    with pytest.raises(PictureError, match="it is damaged"):
        read_photograph(content[:33] + bomb + content[33:])


def test_a_jpeg_is_read_without_its_end_but_not_without_pixels():
    content = saved("JPEG")
    whole = np.asarray(read_photograph(content))
    assert (np.asarray(read_photograph(content[:-2])) == whole).all()
    assert (np.asarray(read_photograph(content[:-1])) == whole).all()
    for cut in range(12, 600, 7):
        with pytest.raises(PictureError, match="it is"):
            read_photograph(content[:-cut])


def test_a_png_whose_rows_are_missing_is_refused(tmp_path: Path):
    row = b"\0" + 6 * b"\1"
    assert np.asarray(read_photograph(png_of(6, 4, 4 * row, b"\x08\0"))).max() == 1
    black = png_of(6, 4, bytes(28), b"\x08\0")
    assert np.asarray(read_photograph(black)).max() == 0
    cut = png_of(6, 4, 3 * row, b"\x08\0")
    with pytest.raises(PictureError, match="some of its rows are missing"):
        read_photograph(cut)
    (tmp_path / "mask.png").write_bytes(cut)
    with pytest.raises(PictureError, match="some of its rows are missing"):
        read_mask(tmp_path / "mask.png", (6, 4))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_film_behind_a_photograph_does_not_count(options):
    content = saved("JPEG", **options)
    film = 300 * b"\xff\xda\0\x08" + b"\xff\xd9" + 300 * b"\xff\xda"
    read = np.asarray(read_photograph(content + film))
    assert (read == np.asarray(read_photograph(content))).all()


def test_a_jpeg_of_very_many_scans_is_refused():
    with pytest.raises(PictureError, match="it has 201 scans, at most 100 are read"):
        read_photograph(saved("JPEG")[:-2] + 200 * b"\xff\xda\0\3\0")


def test_pipes_sockets_folders_and_gaps_are_not_opened(tmp_path: Path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        for name in ("pipe.jpg", "socket.jpg", "."):
            with pytest.raises(PictureError, match="it is a folder, pipe, socket or device"):
                read_photograph(Path(name))
    with pytest.raises(PictureError, match="it cannot be read: No such file or directory"):
        read_photograph(Path("absent.jpg"))


def test_names_that_are_not_text_can_be_read(tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(saved("PNG"))
    assert read_photograph(path).size == (30, 40)


def test_hidden_names():
    assert is_hidden("._0.jpg")
    assert is_hidden("__MACOSX")
    assert not is_hidden("0.jpg")
