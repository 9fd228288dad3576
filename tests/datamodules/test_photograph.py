"""Photographs of every kind that Pillow can write, against its own conversions or closed forms."""

import io
import struct
import warnings
import zlib
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from datamodules.photograph import open_photograph, read_photograph
from datamodules.picture import PictureError

SIZE = (12, 7)  # width and height
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "TGA")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB")
ORIENTATION = 0x0112


def noise(mode: str) -> Image.Image:
    """A picture of a mode, all of whose channels vary."""
    rng = np.random.default_rng(len(mode))
    picture = Image.fromarray(rng.integers(0, 256, (*SIZE[::-1], 4), dtype=np.uint8))
    if mode == "LAB":
        return Image.merge("LAB", picture.split()[:3])
    if mode == "PA":
        return picture.convert("RGB").convert("P").convert("PA")
    return picture.convert("RGB").convert(mode) if mode in ("P", "CMYK") else picture.convert(mode)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def writable() -> list[tuple[str, str]]:
    found = []
    for kind, mode in product(FORMATS, MODES):
        try:
            saved(noise(mode), kind)
        except (OSError, ValueError):
            continue
        found.append((kind, mode))
    return found


def as_pillow_sees(content: bytes) -> Image.Image:
    """Upright RGB on white, without profiles."""
    with Image.open(io.BytesIO(content)) as file:
        upright = ImageOps.exif_transpose(file)
    if upright.mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.applyTransform(upright, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright.convert("RGBA")).convert("RGB")


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode == "RGB" and np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(("kind", "mode"), writable())
def test_what_pillow_writes_is_read_as_pillow_converts_it(kind, mode):
    content = saved(noise(mode), kind)
    assert same(read_photograph(content), as_pillow_sees(content))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_photographs_are_upright(kind, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = saved(noise("RGB"), kind, exif=exif)
    read = open_photograph(content)
    assert same(read.image, as_pillow_sees(content))
    assert read.image.size == (SIZE if orientation < 5 else SIZE[::-1])
    assert read.plain == (orientation == 1 and kind in ("JPEG", "PNG", "WEBP"))


@pytest.mark.parametrize("exif", [b"nonsense", b"II*\0\xff\xff\xff\xff", b""])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_malformed_exif_refuses_no_picture_that_decodes(kind, exif):
    assert read_photograph(saved(noise("RGB"), kind, exif=b"Exif\0\0" + exif)).size == SIZE


@pytest.mark.parametrize(
    ("mode", "clear"),
    [
        ("1", 1),
        ("L", 77),
        ("RGB", (255, 0, 7)),
        ("P", 3),
        ("P", bytes([0, 128, 255, 9])),
    ],
)
def test_transparent_colours_are_white(mode, clear):
    content = saved(noise(mode), "PNG", transparency=clear)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = open_photograph(content)
    assert same(read.image, as_pillow_sees(content))
    assert not read.plain


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


def tiff(values: np.ndarray, sample_format: int) -> bytes:
    """An uncompressed TIFF of one channel, whatever Pillow could write."""
    bits, (height, width) = values.itemsize * 8, values.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, values.nbytes), (339, sample_format)]
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in tags
    )
    head = b"II*\0" + (8 + len(data)).to_bytes(4, "little")
    return head + data + len(tags).to_bytes(2, "little") + entries + bytes(4)


@pytest.mark.parametrize(
    ("dtype", "sample_format", "top"),
    [("u2", 1, 2**16 - 1), ("i2", 2, 2**15 - 1), ("u4", 1, 2**32 - 1), ("i4", 2, 2**31 - 1)],
)
def test_integers_of_a_tiff_are_scaled_by_their_type(dtype, sample_format, top):
    values = np.array([[0, top // 3, top // 2, top]], dtype)
    read = np.asarray(read_photograph(tiff(values, sample_format)))
    assert read[0, :, 0].tolist() == [0, 85, 127, 255]


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


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(kind):
    frames = [Image.new("RGB", SIZE, color) for color in ("red", "blue")]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **LOSSLESS[kind])
    read = open_photograph(content)
    assert same(read.image, frames[0])
    assert not read.plain


LOSSLESS = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}


def profile(gamma: float, *, grey: bool = False, swapped: bool = False) -> bytes:
    """A profile of a power curve, on sRGB's primaries or with red and green changed round."""
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"desc": b"desc" + bytes(86)}
    curve = b"curv" + bytes(4) + (1).to_bytes(4) + round(gamma * 256).to_bytes(2) + bytes(2)
    if grey:
        tags[b"kTRC"] = curve
    else:
        red, green = xyz(0.4360, 0.2225, 0.0139), xyz(0.3851, 0.7169, 0.0971)
        tags[b"rXYZ"], tags[b"gXYZ"] = (green, red) if swapped else (red, green)
        tags[b"bXYZ"] = xyz(0.1431, 0.0606, 0.7141)
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + (start + len(data)).to_bytes(4) + len(content).to_bytes(4)
        data += content + bytes(-len(content) % 4)
    space = b"GRAY" if grey else b"RGB "
    head = bytes(4) + bytes(4) + b"\2\x40\0\0mntr" + space + b"XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + xyz(0.9642, 1.0, 0.8249)[8:] + bytes(48)
    body = head[4:128] + len(tags).to_bytes(4) + table + data
    return (4 + len(body)).to_bytes(4) + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(round(v * 65536).to_bytes(4) for v in values)


def converted(picture: Image.Image, icc: bytes) -> Image.Image:
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, source, srgb, outputMode="RGB")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_colours_of_another_profile_become_srgb(kind):
    icc = profile(1.8, swapped=True)
    options = {"lossless": True} if kind == "WEBP" else {}
    read = open_photograph(saved(noise("RGB"), kind, icc_profile=icc, **options))
    assert same(read.image, converted(noise("RGB"), icc))
    assert not same(read.image, noise("RGB"))
    assert not read.plain


def test_profiles_of_grey_of_palettes_and_beside_transparency():
    grey, colour = profile(1.0, grey=True), profile(1.0)
    content = saved(noise("L"), "PNG", icc_profile=grey)
    assert same(read_photograph(content), converted(noise("L"), grey))
    content = saved(noise("P"), "PNG", icc_profile=colour)
    assert same(read_photograph(content), converted(noise("P").convert("RGB"), colour))
    both = noise("RGBA")
    expected = converted(both.convert("RGB"), colour)
    expected.putalpha(both.getchannel("A"))
    white = Image.alpha_composite(Image.new("RGBA", SIZE, "white"), expected).convert("RGB")
    assert same(read_photograph(saved(both, "PNG", icc_profile=colour)), white)


def test_a_profile_that_is_srgb_in_effect_changes_no_pixel():
    named = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    read = open_photograph(saved(noise("RGB"), "PNG", icc_profile=named))
    assert same(read.image, noise("RGB"))
    assert read.plain


@pytest.mark.parametrize(
    "icc", [b"nonsense", profile(1.0)[:200], profile(1.0, grey=True), b"\0" * 200]
)
def test_a_profile_that_is_broken_or_of_other_colours_is_left_out(icc):
    assert same(read_photograph(saved(noise("RGB"), "PNG", icc_profile=icc)), noise("RGB"))
