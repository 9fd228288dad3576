"""Pixels from the bytes of an image, a mask or a depth map; no bytes end or fill the process.

PNGs are decoded by Pillow: torchvision's decoder crashes on damaged ones.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from datamodules.errors import first_line
from datamodules.image_header import FORMATS, JPEG, PNG, ImageHeader, read_header

_IHDR_END = 33
_UNPACKED_AT_ONCE = 2**24
_IEND = b"\0\0\0\0IEND\xaeB`\x82"


def decode_image(content: bytes | bytearray, extension: str) -> np.ndarray:
    """Decode an image as training does, by its file extension: (H, W, 3) uint8.

    Transparency is left out, EXIF orientation and profiles are not applied.

    Raises ValueError with the reason: another type, more than `MAX_PIXELS` pixels, more than 8 bits
    a channel, damaged.
    """
    image_format = FORMATS.get(extension.lower())
    if image_format is None:
        raise ValueError(f"its image type {extension!r} is not jpg, png or webp")
    header = _header(content, image_format, "image")
    if header.bits > 8:
        raise ValueError(f"its image has torch.uint{header.bits} pixels, expected 8 bits a channel")
    if image_format == PNG:
        return _decode_png(content, header, "image", "RGB")
    return _decode_by_torchvision(content, image_format)


def decode_map(
    content: bytes | bytearray, bits: int, size: tuple[int, int], what: str
) -> np.ndarray:
    """Decode a grey PNG of 8 or 16 bits and the given size to (H, W) uint8 or uint16.

    what  is said of it in errors: mask, or depth

    Raises ValueError with the reason; another size or type is seen before it is decoded.
    """
    header = _header(content, PNG, what)
    if header[:4] != (size[1], size[0], bits, 1):
        raise ValueError(
            f"its {what} is ({header.channels}, {header.height}, {header.width}) "
            f"torch.uint{header.bits}, expected (1, {size[0]}, {size[1]}) torch.uint{bits}"
        )
    rows = None if header.interlaced else _unfiltered_rows(content, size[0], size[1] * bits // 8)
    if rows is None:
        return _decode_png(content, header, what, None).astype(f"uint{bits}", copy=False)
    return rows if bits == 8 else rows.view(">u2").astype(np.uint16)


def _header(content: bytes | bytearray, image_format: str, what: str) -> ImageHeader:
    if not content:
        raise ValueError(f"its {what} is empty")
    try:
        return read_header(content, image_format)
    except ValueError as error:
        raise ValueError(f"its {what} cannot be decoded ({error})") from error


def _decode_png(
    content: bytes | bytearray, header: ImageHeader, what: str, mode: str | None
) -> np.ndarray:
    """Pixels of a PNG, converted to a mode of Pillow's where one is given."""
    try:
        with Image.open(io.BytesIO(content), formats=(PNG,)) as image:
            image.info.pop("transparency", None)  # or Pillow warns of what it leaves out
            image.load()
            check_png_rows(image, content, header)
            return np.array(image if mode in (None, image.mode) else image.convert(mode))
    except UnidentifiedImageError as error:
        raise ValueError(f"its {what} cannot be decoded (it is no PNG)") from error
    except Exception as error:  # damaged bytes raise whatever Pillow's parsers run into
        raise ValueError(f"its {what} cannot be decoded ({first_line(error)})") from error


def check_png_rows(image: Image.Image, content: bytes | bytearray, header: ImageHeader) -> None:
    """ValueError if rows are missing of a PNG that Pillow loaded, which leaves them black."""
    last = image.crop((0, header.height - 1, header.width, header.height))
    if not header.interlaced and last.getbbox(alpha_only=False) is not None:
        return
    packed = []
    start = _IHDR_END
    while start + 8 <= len(content):
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        if content[start + 4 : start + 8] == b"IDAT":
            packed.append(content[start + 8 : end])
        start = end + 4
    inflater, rest, missing = zlib.decompressobj(), b"".join(packed), header.unpacked
    while missing > 0:
        unpacked = inflater.decompress(rest, min(missing, _UNPACKED_AT_ONCE))
        if not unpacked:
            raise ValueError("some of its rows are missing")
        rest, missing = inflater.unconsumed_tail, missing - len(unpacked)


def _decode_by_torchvision(content: bytes | bytearray, image_format: str) -> np.ndarray:
    # Here, so that processes that write shards start quickly and take this where they need it.
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, decode_webp

    decoder = decode_jpeg if image_format == JPEG else decode_webp
    writable = content if isinstance(content, bytearray) else bytearray(content)
    try:
        pixels = decoder(torch.frombuffer(writable, dtype=torch.uint8), mode=ImageReadMode.RGB)
    except RuntimeError as error:
        reason = first_line(error).rsplit("/", 1)[-1]
        raise ValueError(f"its image cannot be decoded ({reason})") from error
    return pixels.permute(1, 2, 0).numpy()


def _unfiltered_rows(content: bytes | bytearray, height: int, row_bytes: int) -> np.ndarray | None:
    """Rows (H, bytes a row) uint8 of a grey PNG laid out as `encode_depth` and `encode_mask` do,
    faster than by Pillow; None of any other, damaged ones too."""
    start = _IHDR_END + 8
    end = start + int.from_bytes(content[_IHDR_END : _IHDR_END + 4], "big")
    if content[_IHDR_END + 4 : start] != b"IDAT" or content[end + 4 :] != _IEND:
        return None
    expected = height * (row_bytes + 1)
    inflater = zlib.decompressobj()
    try:
        pixels = inflater.decompress(memoryview(content)[start:end], expected + 1)
    except zlib.error:
        return None
    if not inflater.eof or len(pixels) != expected:  # its checksum is compared at the end alone
        return None
    rows = np.frombuffer(pixels, np.uint8).reshape(height, row_bytes + 1)
    return None if rows[:, 0].any() else rows[:, 1:].copy()
