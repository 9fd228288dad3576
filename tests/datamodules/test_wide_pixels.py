"""Photographs of more or fewer than 8 bits, against closed forms."""

import io
import struct
import zlib

import numpy as np
import pytest
from photo_bytes import noise, same, saved
from PIL import Image

from datamodules.photograph import read_photograph
from datamodules.picture import PictureError

WIDE = np.array([[0, 1, 128, 129, 256, 385, 30000, 65406, 65407, 65535]], np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_are_scaled(kind, order):
    if kind == "TIFF" and order == ">u2":
        picture = Image.frombytes("I;16B", (10, 1), WIDE.astype(">u2").tobytes())
    else:
        picture = Image.fromarray(WIDE.astype("<u2"))
    read = np.asarray(read_photograph(saved(picture, kind)))
    assert (read == np.rint(WIDE / 257)[..., None]).all()


def test_16_bits_with_a_transparent_grey():
    content = saved(Image.fromarray(WIDE), "PNG", transparency=30000)
    expected = np.where(WIDE == 30000, 255, np.rint(WIDE / 257))
    assert (np.asarray(read_photograph(content)) == expected[..., None]).all()


def png(samples: np.ndarray, bits: int, colour: int, clear: bytes) -> bytes:
    """A PNG of any depth with a transparent colour, whatever Pillow could write."""
    height, width = samples.shape[:2]
    if bits == 16:
        rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        each = (samples[..., None] >> np.arange(bits)[::-1]) & 1
        rows = np.packbits(each.reshape(height, -1).astype(np.uint8), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", clear), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_few_bits(bits):
    samples = np.arange(2**bits)[None] if bits < 8 else np.arange(9)[None]
    read = np.asarray(read_photograph(png(samples, bits, 0, struct.pack(">H", 1))))
    expected = np.where(samples == 1, 255, samples * 255 // (2**bits - 1))
    assert (read == expected[..., None]).all()


@pytest.mark.parametrize("clear", [(300, 200, 100), (30, 200, 100), (40000, 50000, 60000)])
def test_a_transparent_colour_of_16_bits(clear):
    samples = np.array([[clear, (200 << 8, 100 << 8, 50 << 8), (65535, 0, 4000)]])
    read = np.asarray(read_photograph(png(samples, 16, 2, struct.pack(">HHH", *clear))))
    assert read[0].tolist() == [[255, 255, 255], [200, 100, 50], [255, 0, 15]]


def test_a_16_bit_tiff_whose_0_is_white():
    content = saved(Image.fromarray(WIDE), "TIFF", tiffinfo={262: 0})
    with Image.open(io.BytesIO(content)) as file:
        assert file.tag_v2[262] == 0
    expected = 255 - np.rint(WIDE / 257)
    assert (np.asarray(read_photograph(content)) == expected[..., None]).all()


def test_a_pgm_of_any_largest_number():
    samples = np.array([0, 100, 999], ">u2").tobytes()
    read = np.asarray(read_photograph(b"P5 3 1 999\n" + samples))
    assert read[0, :, 0].tolist() == [0, 26, 255]


def tiff(
    values: np.ndarray, sample_format: int, order: str = "<", white: int = 1, packed: bool = False
) -> bytes:
    """A TIFF of one channel, whatever Pillow could write.

    order of bytes, < or >; white: 0 if 0 is white, else 1; packed: by Deflate or not at all
    """
    bits, (height, width) = values.itemsize * 8, values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if packed else data
    tags = [(256, width), (257, height), (258, bits), (259, 8 if packed else 1), (262, white)]
    tags += [(273, 8), (277, 1), (278, height), (279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [0, 1])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("dtype", "sample_format", "top"),
    [
        *(("u2", 1, 2**16 - 1), ("i2", 2, 2**15 - 1), ("u4", 1, 2**32 - 1), ("i4", 2, 2**31 - 1)),
        ("f4", 3, 1),
    ],
)
def test_numbers_of_a_tiff_are_scaled_by_their_type(
    dtype, sample_format, top, order, white, packed
):
    values = np.array([[0, top / 3, top / 5, top]]).astype(dtype)
    content = tiff(values, sample_format, order, white, packed)
    grey = np.array([0, 85, 51, 255])
    read = np.asarray(read_photograph(content))[0, :, 0]
    assert (read == (grey if white else 255 - grey)).all()


def test_signed_bytes_of_a_tiff_are_scaled_by_their_type():
    read = np.asarray(read_photograph(tiff(np.array([[0, 1, 64, 127]], "i1"), 2)))
    assert read[0, :, 0].tolist() == [0, 2, 129, 255]


def test_the_small_copy_in_a_raw_photograph_is_not_taken_for_it():
    with pytest.raises(PictureError, match=r"a small copy .*: convert it to JPEG"):
        read_photograph(saved(noise("RGB"), "TIFF", tiffinfo={254: 1}))
    assert same(read_photograph(saved(noise("RGB"), "TIFF", tiffinfo={254: 2})), noise("RGB"))


def test_a_tiff_with_wide_colours_in_planes_is_refused():
    planes = np.arange(12, dtype="<u2").reshape(3, 2, 2)
    entries = [(256, 3, [2]), (257, 3, [2]), (258, 3, [16] * 3), (259, 3, [1]), (262, 3, [2])]
    entries += [(273, 4, [8, 16, 24]), (277, 3, [3]), (278, 3, [2]), (279, 4, [8] * 3)]
    entries += [(284, 3, [2])]
    start = 8 + planes.nbytes
    end = start + 2 + 12 * len(entries) + 4
    head, tail = struct.pack("<H", len(entries)), b""
    for tag, kind, values in entries:
        packed = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(values), *values)
        head += struct.pack("<HHI", tag, kind, len(values))
        if len(packed) > 4:
            head += struct.pack("<I", end + len(tail))
            tail += packed
        else:
            head += packed.ljust(4, b"\0")
    content = b"II*\0" + struct.pack("<I", start) + planes.tobytes() + head + bytes(4) + tail
    with pytest.raises(PictureError, match="its colours of 16 bits lie in a plane each"):
        read_photograph(content)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_negative_integers_are_refused(dtype):
    with pytest.raises(PictureError, match="its pixels go down to -5"):
        read_photograph(tiff(np.array([[-5, 7]], dtype), 2))


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_fractions_are_read_from_0_to_1_alone(kind):
    inside = np.array([[0, 0.25, 0.5, 1]], np.float32)
    read = np.asarray(read_photograph(saved(Image.fromarray(inside), kind)))
    assert read[0, :, 0].tolist() == [0, 64, 128, 255]
    for outside in (1.5, -0.1, np.nan, np.inf):
        content = saved(Image.fromarray(np.array([[0, outside]], np.float32)), kind)
        with pytest.raises(PictureError, match="its pixels are fractions from"):
            read_photograph(content)
