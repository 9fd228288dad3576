"""Size and pixel type of an encoded image, from its header alone."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAX_SIDE = 8192
MAX_PIXELS = MAX_SIDE**2
"""Pixels that a stored image may have, square or not."""
MAX_JPEG_SCANS = 100
"""Passes over the pixels in a progressive JPEG; encoders write about ten, each takes its time."""
_MAX_JPEG_SEGMENTS = 10_000

PNG, JPEG, WEBP = "PNG", "JPEG", "WEBP"
FORMATS = {"jpg": JPEG, "jpeg": JPEG, "png": PNG, "webp": WEBP}
"""Format by file extension in lower case."""

_PALETTE = 3
_PNG_CHANNELS = {0: 1, 2: 3, _PALETTE: 3, 4: 2, 6: 4}  # by colour type
_ADAM7 = (  # first column and row, and steps, of the passes of an interlaced PNG
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")  # of those that have a length
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_JPEG_PROGRESSIVE = (0xC2, 0xCA)
JPEG_SCAN, JPEG_END = 0xDA, 0xD9
"""Markers of a JPEG."""


class ImageHeader(NamedTuple):
    """What an image announces.

    bits       of a channel
    channels   of the decoded pixels, 0 where the header does not tell
    interlaced, unpacked  of a PNG: whether its pixels come in seven passes, bytes of all its rows
    """

    width: int
    height: int
    bits: int
    channels: int
    interlaced: bool = False
    unpacked: int = 0


def read_header(content: bytes | bytearray, image_format: str) -> ImageHeader:
    """Header of an image in the format it should have; ValueError with the reason otherwise.

    An image has 1 to `MAX_PIXELS` pixels, a JPEG at most `MAX_JPEG_SCANS` scans.
    """
    header = {PNG: png_header, JPEG: _jpeg, WEBP: _webp}[image_format](content)
    if header is None:
        raise ValueError(f"it is no {image_format}")
    width, height = header.width, header.height
    if width * height == 0:
        raise ValueError(f"it announces {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"it announces {width} x {height} pixels, an image may have {MAX_PIXELS:,}: store it "
            "smaller"
        )
    return header


def png_header(content: bytes | bytearray) -> ImageHeader | None:
    """From the first chunk, IHDR, whose checksum is right; None of what is no PNG."""
    if content[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" or len(content) < 33:
        return None
    width, height, bits, color, _, _, interlace, crc = struct.unpack_from(">IIBBBBBI", content, 16)
    if crc != zlib.crc32(content[12:29]) or color not in _PNG_CHANNELS:
        return None
    bits_a_pixel = bits * (1 if color == _PALETTE else _PNG_CHANNELS[color])
    unpacked = 0
    for left, top, across, down in _ADAM7 if interlace else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            unpacked += rows * (1 + (columns * bits_a_pixel + 7) // 8)
    channels = _PNG_CHANNELS[color]
    return ImageHeader(width, height, bits, channels, interlace != 0, unpacked)


def jpeg_segments(content: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Markers of a JPEG as libjpeg finds them, up to that of its end, and where the segment of each
    begins; cameras append more pictures, and films, of which nothing counts."""
    position = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(content, position)
        if found is None:
            return
        marker, position = found[1][0], found.end()
        yield marker, position
        if marker == JPEG_END:
            return
        position += max(2, int.from_bytes(content[position : position + 2], "big"))


def _jpeg(content: bytes | bytearray) -> ImageHeader | None:
    """From the first start of frame and the scans after it."""
    if content[:3] != b"\xff\xd8\xff":
        return None
    header: ImageHeader | None = None
    scans, sole = 0, b""
    for marker, position in jpeg_segments(content):
        if marker in _JPEG_FRAMES and header is None and position + 8 <= len(content):
            bits, height, width, channels = struct.unpack_from(">BHHB", content, position + 2)
            header = ImageHeader(width, height, bits, channels)
            sole = b"" if marker in _JPEG_PROGRESSIVE else bytes([channels])
        elif marker == JPEG_SCAN and header is not None:
            scans += 1
            if content[position + 2 : position + 3] == sole:
                break  # it has all there is: libjpeg reads no other
    if scans > MAX_JPEG_SCANS:
        raise ValueError(f"it has {scans} scans, at most {MAX_JPEG_SCANS} are read")
    return header if scans else None


def _webp(content: bytes | bytearray) -> ImageHeader | None:
    """From the first chunk: lossy, lossless, or extended, which must not be animated."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < 30:
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        if content[20] & 0b10:
            raise ValueError("it is animated: store one picture")
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        packed = int.from_bytes(content[21:25], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", content, 26))
    else:
        return None
    return ImageHeader(width, height, 8, 0)
