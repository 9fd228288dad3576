"""Bring an image, its mask and its depth to the size they are stored at, all in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from datamodules.build.disparity import to_disparity
from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask, encode_png
from datamodules.build.maps import DepthKind, read_depth, read_mask
from datamodules.image_bytes import decode_image
from datamodules.image_header import MAX_PIXELS
from datamodules.modalities import IMAGE_EXTENSIONS
from datamodules.photograph import Photograph, open_photograph
from datamodules.picture import PictureError
from datamodules.rays import PinholeCamera

Resize = Literal["short_side+center_crop", "squash", "none"]
ImageFormat = Literal["jpg", "png"]

_EXTENSION = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
_DECODERS_DIFFER = 2  # levels, on average, by which two decoders of JPEG may differ


@dataclass(frozen=True)
class Prepared:
    """An encoded image, its file extension, the pixel size of its source, and its RGB pixels, which
    a JPEG holds up to its losses."""

    content: bytes
    extension: str
    source_size: tuple[int, int]
    pixels: Image.Image


@dataclass(frozen=True)
class Preparation:
    """Size and format in which images are stored.

    resolution  side of the stored squares in pixels; unused by resize "none"
    resize      "short_side+center_crop" keeps proportions, "squash" keeps the whole image, "none"
                keeps the file as it is
    image_format, quality  of images that are encoded anew; a file that already has the right
                size and type is copied byte for byte
    """

    resolution: int
    resize: Resize = "short_side+center_crop"
    image_format: ImageFormat = "jpg"
    quality: int = 95

    def image(self, content: bytes) -> Prepared:
        """Prepare a compressed image; PictureError if it cannot be read, or not be stored so that
        training can read it."""
        photograph = open_photograph(content)
        image = photograph.image
        if (copied := self._copied(content, photograph)) is not None:
            return Prepared(content, copied, image.size, image)
        width, height = self._target(image.size)
        if width * height > MAX_PIXELS:
            raise PictureError(
                f"training reads {MAX_PIXELS:,} pixels at most, not {width} x {height}: make it "
                "smaller, or let it be resized"
            )
        pixels = self._cut(image, Image.Resampling.LANCZOS)
        return Prepared(self.encoded(pixels), self.image_format, image.size, pixels)

    def mask(self, path: Path, size: tuple[int, int]) -> bytes:
        """Prepare a mask file of codes 0, 1, 2, 255; PictureError if it is not one."""
        codes = Image.fromarray(read_mask(path, size))
        return encode_mask(np.asarray(self._cut(codes, Image.Resampling.NEAREST)))

    def depth(self, path: Path, size: tuple[int, int], kind: DepthKind) -> bytes:
        """Prepare a depth file as relative disparity; PictureError if it is not one."""
        values = Image.fromarray(read_depth(path, size, kind))
        cut = np.asarray(self._cut(values, Image.Resampling.NEAREST))
        return encode_depth(to_disparity(cut) if kind == "metres_mm" else cut.astype(np.uint16))

    def camera(self, camera: PinholeCamera, size: tuple[int, int]) -> PinholeCamera:
        """The camera of the prepared image, of that of a photograph of a size (W, H)."""
        left, top, right, bottom = self._window(size)
        part = np.array([[right - left], [bottom - top], [1.0]])
        intrinsics = camera.intrinsics * np.array([[size[0]], [size[1]], [1.0]])
        intrinsics[:2, 2] -= left, top
        return PinholeCamera(camera.cam2world, (intrinsics / part).astype(np.float32))

    def scale(self, size: tuple[int, int]) -> tuple[float, float]:
        """Stored pixels a pixel of a photograph of a size (W, H), along x and y."""
        left, top, right, bottom = self._window(size)
        width, height = self._target(size)
        return width / (right - left), height / (bottom - top)

    def encoded(self, image: Image.Image) -> bytes:
        """An image of the right size in the format of the settings; PictureError if it can't be."""
        if self.image_format == "png":
            return encode_png(np.asarray(image))
        try:
            return encode_jpeg(np.asarray(image), self.quality)
        except OSError as error:
            raise PictureError(
                f"its {image.width} x {image.height} pixels cannot be stored as jpg ({error})"
            ) from error

    def _copied(self, content: bytes, photograph: Photograph) -> str | None:
        """The extension under which a file is stored byte for byte, None if it is encoded anew."""
        types = IMAGE_EXTENSIONS if self.resize == "none" else (self.image_format,)
        extension = _EXTENSION.get(photograph.format, "")
        size = photograph.image.size
        if not photograph.plain or extension not in types or self._target(size) != size:
            return None
        # Training has decoders of its own, which refuse some files that Pillow reads.
        stored, seen = _stored_pixels(content, extension), np.asarray(photograph.image)
        if stored is None or stored.shape != seen.shape:
            return None
        differ = np.abs(stored.astype(np.int16) - seen).mean() > _DECODERS_DIFFER
        return None if differ else extension

    def _target(self, size: tuple[int, int]) -> tuple[int, int]:
        return size if self.resize == "none" else (self.resolution, self.resolution)

    def _cut(self, image: Image.Image, resampling: Image.Resampling) -> Image.Image:
        """Crop and resize in one step, so that every modality samples the same window."""
        return image.resize(self._target(image.size), resampling, box=self._window(image.size))

    def _window(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in pixels of what is kept of an image of a size (W, H)."""
        width, height = size
        if self.resize != "short_side+center_crop":
            return 0.0, 0.0, float(width), float(height)
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side


def _stored_pixels(content: bytes, extension: str) -> np.ndarray | None:
    """What training reads of a stored image, (H, W, 3) uint8; None if it cannot."""
    try:
        return decode_image(content, extension)
    except ValueError:
        return None
