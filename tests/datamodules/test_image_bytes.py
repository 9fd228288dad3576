import io
import struct
import zlib

import numpy as np
import pytest
from hostile import mutations
from PIL import Image

from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask, encode_png
from datamodules.image_bytes import decode_image, decode_map
from datamodules.image_header import MAX_PIXELS

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (6, 8, 3), np.uint8)
GREY = PIXELS[..., 0]
DEPTH = RNG.integers(0, 65536, (6, 8), np.uint16)
MASK = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (6, 8))
SIZE = (6, 8)


def saved(image_format: str, image: Image.Image | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(buffer, image_format, **options)
    return buffer.getvalue()


def adam7(values: np.ndarray) -> bytes:
    """The rows of an interlaced PNG of values (H, W) or (H, W, C), unfiltered."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    parts = [values[y::dy, x::dx] for x, y, dx, dy in (*passes, (0, 1, 1, 2))]
    return b"".join(rows(part) for part in parts if part.shape[1])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, color: int, rows: bytes, interlace: int = 0) -> bytes:
    """A PNG with right checksums, whatever its rows hold."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlace)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rows(values: np.ndarray, filter_byte: int = 0) -> bytes:
    return b"".join(bytes([filter_byte]) + row.tobytes() for row in values)


@pytest.mark.parametrize(
    ("content", "extension"),
    [
        (saved("PNG"), "png"),
        (saved("PNG"), "PNG"),
        (saved("PNG", save_all=True, append_images=[Image.fromarray(255 - PIXELS)]), "png"),
        (saved("PNG", Image.fromarray(np.dstack([PIXELS, GREY]))), "png"),
        (saved("WEBP", lossless=True), "webp"),
        (
            saved(
                "WEBP", Image.fromarray(np.dstack([PIXELS, GREY | 1])), lossless=True, exact=True
            ),
            "webp",
        ),
    ],
)
def test_images_come_back_exactly(content, extension):
    found = decode_image(content, extension)
    assert found.dtype == np.uint8
    assert (found == PIXELS).all()


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY),
        Image.fromarray(GREY > 99),
        Image.fromarray(PIXELS).quantize(8),
        Image.fromarray(np.dstack([GREY, GREY])),
    ],
)
def test_every_kind_of_png_has_three_channels(image):
    content = saved("PNG", image)
    assert (decode_image(content, "png") == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_jpegs_are_read_as_libjpeg_reads_them(options):
    content = saved("JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(content)), np.int16)
    for padded in (content, content[:2] + b"\xff\xff" + content[2:], bytearray(content)):
        assert np.abs(decode_image(padded, "jpg") - expected).max() <= 1
    assert decode_image(saved("JPEG", Image.fromarray(GREY)), "JPEG").shape == (6, 8, 3)


@pytest.mark.parametrize("level", [0, 6, 9])
def test_maps_come_back_exactly_however_they_are_packed(level):
    for bits, values, encode in ((16, DEPTH, encode_depth), (8, MASK, encode_mask)):
        stored = values.astype(f">u{bits // 8}")
        ours, plain = encode(values), saved("PNG", Image.fromarray(values), compress_level=level)
        subtracted = np.diff(stored.view(np.uint8), axis=1, prepend=np.uint8(0))
        filtered = png(8, 6, bits, 0, rows(subtracted, 1)) if bits == 8 else plain
        for content in (ours, plain, filtered, png(8, 6, bits, 0, rows(stored))):
            found = decode_map(content, bits, SIZE, "map")
            assert (found.dtype, found.shape) == (values.dtype, values.shape)
            assert (found == values).all()
            found[0, 0] = 0  # it can be written to


@pytest.mark.parametrize(
    "content",
    [
        png(8, 6, 8, 0, rows(MASK, 9)),
        png(8, 6, 8, 0, rows(MASK[:4])),
        png(8, 6, 8, 0, rows(MASK)[:-1]),
        png(8, 6, 8, 0, adam7(MASK)[:-1], interlace=1),
        png(8, 6, 8, 0, adam7(MASK)[:40], interlace=1),
        png(8, 6, 8, 0, b""),
        encode_mask(MASK)[:-30],
        encode_mask(MASK)[:33],
        encode_mask(MASK).replace(b"IDAT", b"IDAX"),
    ],
)
def test_damaged_maps_are_refused(content):
    with pytest.raises(ValueError, match="its mask cannot be decoded"):
        decode_map(content, 8, SIZE, "mask")


@pytest.mark.parametrize("shape", [(6, 8), (1, 1), (1, 2), (2, 1), (3, 5), (17, 9)])
def test_interlaced_pngs_are_read(shape):
    depth = RNG.integers(0, 65536, shape, np.uint16)
    content = png(shape[1], shape[0], 16, 0, adam7(depth.astype(">u2")), interlace=1)
    assert (decode_map(content, 16, shape, "depth") == depth).all()
    colours = RNG.integers(0, 255, (*shape, 3), np.uint8)
    content = png(shape[1], shape[0], 8, 2, adam7(colours), interlace=1)
    assert (decode_image(content, "png") == colours).all()


def test_missing_rows_of_images_are_noticed_and_black_ones_are_not_missing():
    black = np.zeros((6, 8, 3), np.uint8)
    assert not decode_image(encode_png(black), "png").any()
    assert not decode_image(saved("PNG", Image.fromarray(black).quantize(4)), "png").any()
    for content in (png(8, 6, 8, 2, rows(PIXELS[:5])), png(8, 6, 8, 2, rows(PIXELS)[:-2])):
        with pytest.raises(
            ValueError, match=r"some of its rows are missing|image file is truncated"
        ):
            decode_image(content, "png")


def test_one_flipped_bit_of_a_png_is_noticed_or_changes_no_size():
    for content, bits in ((encode_depth(DEPTH), 16), (encode_mask(MASK), 8)):
        for place in range(8 * len(content)):
            flipped = bytearray(content)
            flipped[place // 8] ^= 1 << place % 8
            try:
                assert decode_map(flipped, bits, SIZE, "map").shape == SIZE
            except ValueError as error:
                assert str(error).startswith("its map")  # noqa: PT017, either outcome is right


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_no_bytes_make_a_decoder_fail(extension):
    image_format = {"jpg": "JPEG"}.get(extension, extension.upper())
    for content in mutations(saved(image_format), 700):
        try:
            assert decode_image(content, extension).shape[2] == 3
        except ValueError as error:
            assert str(error).startswith("its image")  # noqa: PT017, either outcome is right


def jpeg_of(width: int, height: int) -> bytes:
    content = encode_jpeg(PIXELS)
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def webp_of(side: int, lossless: bool) -> bytes:
    content = bytearray(saved("WEBP", lossless=lossless))
    if lossless:
        packed = int.from_bytes(content[21:25], "little") & ~0xFFFFFFF | side - 1 | side - 1 << 14
        content[21:25] = packed.to_bytes(4, "little")
    else:
        content[26:30] = struct.pack("<HH", side, side)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "extension", "size"),
    [
        (png(30000, 30000, 8, 2, b""), "png", "30000 x 30000"),
        (png(2**31, 2**31, 8, 2, b""), "png", "2147483648 x 2147483648"),
        (jpeg_of(65500, 65500), "jpg", "65500 x 65500"),
        (webp_of(16000, True), "webp", "16000 x 16000"),
        (webp_of(16000, False), "webp", "16000 x 16000"),
    ],
)
def test_images_are_refused_by_their_header_before_memory_is_taken(content, extension, size):
    with pytest.raises(ValueError, match=f"it announces {size} pixels, .* have {MAX_PIXELS:,}: st"):
        decode_image(content, extension)


def test_maps_are_refused_by_their_header_before_memory_is_taken():
    with pytest.raises(ValueError, match="it announces 20000 x 20000 pixels"):
        decode_map(png(20000, 20000, 16, 0, b""), 16, SIZE, "depth")
    with pytest.raises(ValueError, match=r"its mask is \(1, 8000, 8000\) .*, expected \(1, 6, 8\)"):
        decode_map(png(8000, 8000, 8, 0, b""), 8, SIZE, "mask")
    with pytest.raises(ValueError, match=r"its mask is \(3, 6, 8\) torch.uint8, expected \(1, 6"):
        decode_map(encode_png(PIXELS), 8, SIZE, "mask")
    with pytest.raises(ValueError, match=r"its mask is \(1, 6, 8\) torch.uint1, expected"):
        decode_map(saved("PNG", Image.fromarray(GREY > 99)), 8, SIZE, "mask")


def test_a_png_that_unpacks_to_more_than_its_pixels_takes_no_more_memory():
    content = png(8, 6, 8, 0, bytes(10**8))
    assert len(content) < 200_000
    assert decode_map(content, 8, SIZE, "mask").shape == SIZE


@pytest.mark.parametrize(
    ("content", "extension", "reason"),
    [
        (png(0, 6, 8, 0, b""), "png", "it announces 0 x 6 pixels"),
        (png(8, 6, 8, 1, rows(MASK)), "png", "it is no PNG"),
        (
            saved("WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6))]),
            "webp",
            "animated",
        ),
        (saved("PNG"), "jpg", "it is no JPEG"),
        (saved("BMP"), "jpg", "it is no JPEG"),
        (b"\xff\xd8\xff" * 9, "jpg", "it is no JPEG"),
        (b"\xff\xd8" + b"\xff\xe1\0\x02" * 10**5, "jpg", "it is no JPEG"),
        (
            saved("JPEG", progressive=True)[:-2] + 99 * b"\xff\xda\0\3\0",
            "jpg",
            r"it has \d+ scans, at most 100",
        ),
        (b"RIFF\xff\xff\xff\xffWEBPJUNK" + bytes(30), "webp", "it is no WEBP"),
        (b"RIFF", "webp", "it is no WEBP"),
    ],
)
def test_what_is_no_plain_image_of_its_type_is_refused(content, extension, reason):
    with pytest.raises(ValueError, match=rf"its image cannot be decoded \({reason}|it is {reason}"):
        decode_image(content, extension)


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\0", b"\xff\xd0"])
def test_a_jpeg_of_filling_takes_no_time(filling):
    with pytest.raises(ValueError, match="it is no JPEG"):
        decode_image(b"\xff\xd8\xff\xe0\0\2" + 200_000 * filling, "jpg")


def test_a_film_behind_a_jpeg_does_not_count():
    content = saved("JPEG", progressive=True)
    film = 300 * b"\xff\xda\0\x08"
    assert (decode_image(content + film, "jpg") == decode_image(content, "jpg")).all()
