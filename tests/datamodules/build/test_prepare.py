import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from datamodules.build.prepare import Preparation
from datamodules.image_bytes import decode_image
from datamodules.picture import PictureError

GRADIENT = np.stack(np.meshgrid(np.arange(0, 240, 20), np.arange(0, 160, 20)) * 2, -1)[..., :3]
GRADIENT = GRADIENT.astype(np.uint8)  # (8, 12, 3): red tells the column, green the row


def encoded(pixels, kind="PNG", mode=None, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_crop_keeps_the_middle_square_and_squash_everything():
    crop = Preparation(8, "short_side+center_crop", "png").image(encoded(GRADIENT))
    assert (pixels(crop.content) == GRADIENT[:, 2:10]).all()
    squashed = pixels(Preparation(8, "squash", "png").image(encoded(GRADIENT)).content)
    assert squashed.shape == (8, 8, 3)
    assert squashed[0, 0, 0] < 20
    assert squashed[0, -1, 0] > 200


@pytest.mark.parametrize("resize", ["short_side+center_crop", "squash", "none"])
@pytest.mark.parametrize("resolution", [4, 8, 16])
def test_masks_and_depth_show_the_window_of_the_image(tmp_path, resize, resolution):
    preparation = Preparation(resolution, resize, "png")
    image = pixels(preparation.image(encoded(GRADIENT)).content)
    columns = (np.arange(12, dtype=np.uint16) * 20 + 1)[None].repeat(8, 0)
    (tmp_path / "d.png").write_bytes(encoded(columns))
    (tmp_path / "m.png").write_bytes(encoded((columns > 120).astype(np.uint8)))
    depth = pixels(preparation.depth(tmp_path / "d.png", (12, 8), "disparity"))
    mask = pixels(preparation.mask(tmp_path / "m.png", (12, 8)))
    assert depth.shape == mask.shape == image.shape[:2]
    assert np.abs(depth.astype(int) - 1 - image[..., 0]).max() <= 22
    assert (mask == (depth > 120)).all()


def test_scale_is_that_of_the_window():
    assert Preparation(8).scale((16, 12)) == (8 / 12, 8 / 12)
    assert Preparation(8, "squash").scale((16, 12)) == (8 / 16, 8 / 12)
    assert Preparation(8, "none").scale((16, 12)) == (1, 1)


def test_a_file_that_fits_is_copied_byte_for_byte():
    jpeg = encoded(GRADIENT[:, :8], "JPEG", quality=60)
    assert Preparation(8).image(jpeg).content == jpeg
    assert Preparation(64, "none").image(jpeg).content == jpeg
    assert Preparation(64, "none").image(encoded(GRADIENT)).extension == "png"
    assert Preparation(8, image_format="png").image(jpeg).extension == "png"


def png16(pixels: np.ndarray) -> bytes:
    """RGB of 16 bits, which Pillow reads and cannot write."""
    height, width = pixels.shape[:2]
    wide = (pixels.astype(">u2") * 257).reshape(height, -1).view(np.uint8)
    rows = np.pad(wide, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


SQUARE = GRADIENT[:, :8]
ODD = {
    "PNG of 16 bits": png16(SQUARE),
    "JPEG with a tail": encoded(SQUARE, "JPEG", quality=95) + bytes(range(256)) * 40,
    "JPEG without an end": encoded(SQUARE, "JPEG", quality=95)[:-2],
    "JPEG of CMYK": encoded(SQUARE, "JPEG", "CMYK", quality=95),
    "animation": encoded(
        SQUARE, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (8, 8))]
    ),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("image_format", ["jpg", "png"])
@pytest.mark.parametrize("resize", ["short_side+center_crop", "none"])
def test_training_reads_what_is_stored_as_the_same_picture(name, image_format, resize):
    stored = Preparation(8, resize, image_format).image(ODD[name])
    read = decode_image(stored.content, stored.extension)
    assert np.abs(read.astype(int) - SQUARE).mean() < 6
    magic = {"jpg": b"\xff\xd8", "png": b"\x89PNG", "webp": b"RIFF"}[stored.extension]
    assert stored.content.startswith(magic)


@pytest.mark.parametrize(
    "name", ["PNG of 16 bits", "JPEG without an end", "JPEG of CMYK", "animation"]
)
def test_what_training_would_read_otherwise_is_encoded_anew(name):
    assert Preparation(8, "none", "png").image(ODD[name]).content != ODD[name]


def test_what_no_jpeg_can_hold_is_refused():
    with pytest.raises(PictureError, match="70000 x 1 pixels cannot be stored as jpg"):
        Preparation(8, "none").image(encoded(np.zeros((1, 70000, 4), np.uint8)))


def test_what_training_cannot_hold_is_refused():
    buffer = io.BytesIO()
    Image.new("1", (8193, 8192)).save(buffer, "PNG")
    with pytest.raises(PictureError, match=r"training reads .* pixels at most, not 8193 x 8192"):
        Preparation(8, "none", "png").image(buffer.getvalue())


def test_rotated_transparent_and_palette_images_become_upright_rgb():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Preparation(8, "none", "png").image(encoded(GRADIENT, "JPEG", exif=exif, quality=100))
    assert pixels(turned.content).shape == (12, 8, 3)
    assert turned.source_size == (8, 12)
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (pixels(Preparation(8, image_format="png").image(encoded(clear)).content) == 255).all()
    palette = Image.fromarray(GRADIENT).convert("P")
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    assert pixels(Preparation(8, "none").image(buffer.getvalue()).content).ndim == 3


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (GRADIENT, "its mask has mode RGB"),
        (np.full((8, 12), 9, np.uint8), r"mask codes must be 0, 1, 2 or 255, got \[9\]"),
        (np.zeros((8, 8), np.uint8), "its mask is 8 x 8, the image 12 x 8"),
    ],
)
def test_masks_that_are_none(tmp_path, image, sentence):
    (tmp_path / "m.png").write_bytes(encoded(image))
    with pytest.raises(ValueError, match=sentence):
        Preparation(8).mask(tmp_path / "m.png", (12, 8))


def test_depth_of_8_bits_is_refused(tmp_path):
    (tmp_path / "d.png").write_bytes(encoded(np.zeros((8, 12), np.uint8)))
    with pytest.raises(ValueError, match="expected a 16-bit png"):
        Preparation(8).depth(tmp_path / "d.png", (12, 8), "metres_mm")
