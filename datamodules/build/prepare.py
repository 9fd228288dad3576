"""Bring an image, its mask and its depth to the size they are stored at, all in the same way."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask, encode_png
from datamodules.modalities import DISPARITY_MAX, DISPARITY_UNKNOWN, IMAGE_EXTENSIONS

Resize = Literal["short_side+center_crop", "squash", "none"]
ImageFormat = Literal["jpg", "png"]
DepthKind = Literal["metres_mm", "disparity"]

_NEAREST_PERCENTILE = 99.9
_EXTENSION = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Prepared:
    """An encoded image, its file extension, and the pixel size of its source."""

    content: bytes
    extension: str
    source_size: tuple[int, int]


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
        """Prepare a compressed image; OSError, ValueError or SyntaxError if it is unreadable."""
        with Image.open(io.BytesIO(content)) as file:
            file.load()
            upright = ImageOps.exif_transpose(file)
            extension = _EXTENSION.get(file.format or "", "")
            if self._fits(file, extension):
                return Prepared(content, extension, file.size)
            pixels = np.asarray(self._cut(_to_rgb(upright), Image.Resampling.LANCZOS))
        if self.image_format == "png":
            return Prepared(encode_png(pixels), "png", upright.size)
        return Prepared(encode_jpeg(pixels, self.quality), "jpg", upright.size)

    def mask(self, path: Path, size: tuple[int, int]) -> bytes:
        """Prepare a mask file of codes 0, 1, 2, 255; ValueError or OSError if it is not one."""
        with Image.open(path) as file:
            _check_size(file, size, "mask")
            codes = np.asarray(file)
            if codes.ndim != 2:
                raise ValueError(f"its mask has mode {file.mode}, expected one channel")
        image = Image.fromarray(codes.astype(np.uint8))
        return encode_mask(np.asarray(self._cut(image, Image.Resampling.NEAREST)))

    def depth(self, path: Path, size: tuple[int, int], kind: DepthKind) -> bytes:
        """Prepare a 16-bit depth file as relative disparity; ValueError or OSError if not one."""
        with Image.open(path) as file:
            _check_size(file, size, "depth")
            if not file.mode.startswith("I"):
                raise ValueError(f"its depth has mode {file.mode}, expected a 16-bit png")
            values = Image.fromarray(np.asarray(file).astype(np.int32))
        cut = np.asarray(self._cut(values, Image.Resampling.NEAREST))
        return encode_depth(to_disparity(cut) if kind == "metres_mm" else cut.astype(np.uint16))

    def _fits(self, file: Image.Image, extension: str) -> bool:
        """Whether a file can be stored byte for byte."""
        types = IMAGE_EXTENSIONS if self.resize == "none" else (self.image_format,)
        upright = file.getexif().get(_ORIENTATION_TAG, 1) == 1
        plain = file.mode in ("RGB", "L") and "transparency" not in file.info
        return extension in types and plain and upright and self._target(file.size) == file.size

    def _target(self, size: tuple[int, int]) -> tuple[int, int]:
        return size if self.resize == "none" else (self.resolution, self.resolution)

    def _cut(self, image: Image.Image, resampling: Image.Resampling) -> Image.Image:
        """Crop and resize in one step, so that every modality samples the same window."""
        width, height = image.size
        box = (0.0, 0.0, float(width), float(height))
        if self.resize == "short_side+center_crop":
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        return image.resize(self._target(image.size), resampling, box=box)


def to_disparity(depth: np.ndarray) -> np.ndarray:
    """Relative disparity (H, W) uint16 of a depth map (H, W) in any unit of length, 0 unknown.

    Disparity is 1 / z, scaled per image so that the nearest surface is 65535. The nearest is the
    99.9th percentile of the known pixels, because sensors report a few that are far too near.
    Known pixels are at least 1.
    """
    known = depth > 0
    if not known.any():
        return np.full(depth.shape, DISPARITY_UNKNOWN, np.uint16)
    disparity = np.zeros(depth.shape)
    disparity[known] = 1 / depth[known].astype(np.float64)
    nearest = np.percentile(disparity[known], _NEAREST_PERCENTILE)
    scaled = np.clip(np.rint(disparity / nearest * DISPARITY_MAX), 1, DISPARITY_MAX)
    return np.where(known, scaled, DISPARITY_UNKNOWN).astype(np.uint16)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB; transparent pixels become white."""
    if "A" in image.getbands() or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _check_size(file: Image.Image, size: tuple[int, int], what: str) -> None:
    if file.size != size:
        raise ValueError(
            f"its {what} is {file.size[0]} x {file.size[1]}, the image {size[0]} x {size[1]}"
        )
