"""Photographs of every kind that Pillow can write, against its own conversions or closed forms."""

import io
import warnings
from itertools import product

import pytest
from photo_bytes import SIZE, noise, same, saved
from PIL import Image, ImageCms, ImageOps

from datamodules.photograph import open_photograph, read_photograph

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "TGA")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB")
ORIENTATION = 0x0112


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


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(kind):
    frames = [Image.new("RGB", SIZE, color) for color in ("red", "blue")]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **LOSSLESS[kind])
    read = open_photograph(content)
    assert same(read.image, frames[0])
    assert not read.plain


LOSSLESS = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}
