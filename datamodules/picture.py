"""Files of pictures, opened with all that Pillow may raise turned into one error with a reason."""

from __future__ import annotations

import io
import re
import stat
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from datamodules.image_bytes import check_png_rows
from datamodules.image_header import JPEG_END, JPEG_SCAN, MAX_JPEG_SCANS, jpeg_segments, png_header

MAX_PIXELS = 150_000_000
"""Of a photograph, below the number at which Pillow refuses by itself."""

MAX_BYTES = 1_000_000_000
"""Of its file."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".tif"),
    *(".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".qoi"),
)
"""Of files that are taken for pictures in a folder, in lower case."""

_FORMATS = (
    *("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "PPM", "QOI", "SGI"),
    *("PCX", "TGA"),  # TGA has no magic number, it is what is left
)
"""By content. Others of Pillow's run a program (EPS), need one (WMF, GRIB) or are no pictures."""

_FOREIGN = (
    *((4, b"ftyp" + brand, "a HEIC picture") for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF"),
)
"""Offset and bytes by which people's other files are known."""

_UNREADABLE = re.compile("unknown pixel mode|unsupported|not supported|cannot handle", re.I)
"""In what Pillow says of files that are whole."""

_BITS_TAG, _SAMPLE_FORMAT_TAG = 258, 339
PHOTOMETRIC_TAG = 262
"""Of a TIFF: 0 if 0 is white."""
_SIGNED = 2
_BIG_ENDIAN = re.compile("(?<=;16|;32)B(?=[SF]?$)")
"""Letter in Pillow's names of pixels."""


class PictureError(ValueError):
    """A file that is no usable picture; the message is the reason, without a full stop."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is not meant to be seen; archives of macOS bring such
    beside every photograph."""
    return name.startswith(".") or name == "__MACOSX"


@contextmanager
def open_picture(source: bytes | Path) -> Iterator[ImageFile.ImageFile]:
    """Open a picture, of which only the header is read; its `load` decodes the pixels.

    Raises PictureError with the reason if it is no picture, is too large, or if anything of
    Pillow's fails in the block.
    """
    try:
        # Pillow warns of what is refused or mended here. The filter is restored at the end.
        with warnings.catch_warnings(), _file(source) as file:
            warnings.simplefilter("ignore")
            with _recognised(file) as picture:
                _check_pixels(*picture.size)
                yield picture
    except PictureError:
        raise
    # Of malformed files Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error,
    # KeyError, IndexError, TypeError, EOFError, MemoryError and more; the list is nowhere written.
    except Exception as error:
        raise PictureError(_reason(error)) from error


def integer_pixels(image: Image.Image) -> tuple[np.ndarray, int]:
    """Pixels (H, W) of a loaded picture of mode I, I;16 or signed L, and the most its file holds.

    Raises PictureError if one is negative.
    """
    values, bits, signed = stored_integers(image), 16, is_signed(image)
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(_BITS_TAG, (16,))[0]
    if values.min() < 0:
        raise PictureError(f"its pixels go down to {values.min()}, numbers below 0 have no meaning")
    return values, 2 ** (bits - signed) - 1


def stored_integers(image: Image.Image) -> np.ndarray:
    """Pixels (H, W) of a loaded picture of one channel of integers, with the sign of its file."""
    values = np.asarray(image)
    if is_signed(image) and values.dtype == np.uint8:
        return values.view(np.int8)
    wide = isinstance(image, TiffImageFile) and image.tag_v2.get(_BITS_TAG) == (32,)
    return values.view(np.uint32) if wide and not is_signed(image) else values


def is_signed(image: Image.Image) -> bool:
    """Whether a file holds integers that may be negative."""
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    return tags.get(_SAMPLE_FORMAT_TAG, (1,))[0] == _SIGNED


def _file(source: bytes | Path) -> BinaryIO:
    if isinstance(source, bytes):
        size = len(source)
    else:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PictureError("it is a folder, pipe, socket or device, not a file")
        size = status.st_size
    if size > MAX_BYTES:
        raise PictureError(f"it has {size:,} bytes, the limit is {MAX_BYTES:,}")
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _recognised(file: BinaryIO) -> ImageFile.ImageFile:
    """Open by content what `_FORMATS` has; `Image.open` would say no size of what it refuses."""
    Image.init()
    start = file.read(16)
    if not start:
        raise PictureError("it is empty")
    fault: Exception | None = None
    for name in _FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(start.ljust(16, b"\0")) is not True:
            continue
        file.seek(0)
        try:
            return _OPENED.get(name, factory)(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            fault = fault or (error if accept is not None else None)
    for offset, magic, kind in _FOREIGN:
        if start[offset:].startswith(magic):
            raise PictureError(f"it is {kind}, which cannot be read here: convert it to JPEG")
    if fault is not None:
        raise fault
    raise PictureError("it is no picture, or of a kind that cannot be read here")


def _jpeg(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """Open a JPEG; Pillow's own way may fail at the other pictures of a stereo camera's file."""
    content = file.read()
    markers = [marker for marker, _ in jpeg_segments(content)]
    scans = markers.count(JPEG_SCAN)
    if scans > MAX_JPEG_SCANS:
        raise PictureError(f"it has {scans} scans, at most {MAX_JPEG_SCANS} are read")
    file.seek(0)
    picture = JpegImageFile(file, name)
    if "progressive" in picture.info or markers[-1:] == [JPEG_END]:
        return picture
    _check_pixels(*picture.size)
    return _without_end(content)


def _without_end(content: bytes) -> ImageFile.ImageFile:
    """Open a JPEG that lacks the mark of its end, which Pillow waits for; PictureError if more is
    missing: then what follows is taken for pixels, and different bits make different ones."""
    fillings = (b"\0", b"\x55", b"\xaa", b"\x93", b"\x6c", b"\xff\0")
    whole = content.rstrip(b"\xff")  # which begins the mark
    ended = [whole + 64 * filling + b"\xff\xd9" for filling in fillings]
    if len({JpegImageFile(io.BytesIO(each), "").tobytes() for each in ended}) > 1:
        raise PictureError("it is cut off")
    return JpegImageFile(io.BytesIO(ended[0]), "")


class _Png(PngImageFile):
    """A PNG that cannot be loaded where rows are missing, which Pillow leaves black."""

    def load_end(self) -> None:
        """Called by Pillow when it has decoded the pixels."""
        super().load_end()
        assert self.fp is not None
        self.fp.seek(0)
        content = self.fp.read()
        if (header := png_header(content)) is not None:
            check_png_rows(self, content, header)


class _Tiff(TiffImageFile):
    """A TIFF whose grey of 16 or 32 bits may have white at 0 and either order of bytes, packed or
    not: Pillow decodes such, but recognises some not, and takes the bytes of others in reverse."""

    def _setup(self) -> None:
        """Called by Pillow to choose a decoder by the tags."""
        tags, bits = self.tag_v2, self.tag_v2.get(_BITS_TAG)
        told = {tag: tags[tag] for tag in (PHOTOMETRIC_TAG, _SAMPLE_FORMAT_TAG) if tag in tags}
        if bits in ((16,), (32,)) and told.get(PHOTOMETRIC_TAG) == 0:
            tags[PHOTOMETRIC_TAG] = 1
        if bits == (32,) and told.get(_SAMPLE_FORMAT_TAG, (1,)) == (1,):
            tags[_SAMPLE_FORMAT_TAG] = (_SIGNED,)
        try:
            super()._setup()
        finally:
            tags.pop(_SAMPLE_FORMAT_TAG, None)
            tags.update(told)
        if self.use_load_libtiff:  # which gives numbers in the order of this machine
            self.tile = [
                tile._replace(args=(_BIG_ENDIAN.sub("N", tile.args[0]), *tile.args[1:]))
                for tile in self.tile
                if isinstance(tile.args, tuple)
            ]


_OPENED: Mapping[str, Callable[[BinaryIO, str], ImageFile.ImageFile]] = {
    "JPEG": _jpeg,
    "PNG": _Png,
    "TIFF": _Tiff,
}
"""Kinds that are not opened by Pillow's own way."""


def _check_pixels(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PictureError(f"it has {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"it has {width} x {height} pixels, the limit is {MAX_PIXELS:,}: make it smaller"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read: {error.strerror}"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, Image.DecompressionBombError):
        return f"it holds a part of more pixels than the limit, {MAX_PIXELS:,}"
    told = str(error).strip().rstrip(".") or type(error).__name__
    if _UNREADABLE.search(told):
        return f"it is of a kind that cannot be read here ({told}): convert it to 8 bits"
    return f"it is damaged ({told})"
