"""Photographs as everything here sees them: upright, 8-bit sRGB, on white."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from datamodules.picture import (
    PHOTOMETRIC_TAG,
    PictureError,
    integer_pixels,
    is_signed,
    open_picture,
)

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_TAG, _PLANES_TAG = 258, 284
_SEPARATE_PLANES = 2
_KIND_TAG, _SMALL_COPY = 254, 1
_PLAIN_FORMATS = ("JPEG", "PNG", "WEBP")
_PROFILE_SPACE = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
_SAME_COLOUR = 2  # levels by which published sRGB profiles differ from each other


@dataclass(frozen=True)
class Photograph:
    """A photograph that was read.

    image   RGB, upright, sRGB, on white
    format  of its file in Pillow's words, e.g. "JPEG"
    plain   whether it is a JPEG, PNG or WebP that holds these pixels as they are: RGB or grey of 8
            bits, opaque, upright, sRGB, a single frame
    """

    image: Image.Image
    format: str
    plain: bool


def read_photograph(source: bytes | Path) -> Image.Image:
    """Read a photograph, compressed or from its file, as RGB: upright, 8-bit sRGB, on white.

    Raises PictureError with the reason if it cannot be read.
    """
    return open_photograph(source).image


def open_photograph(source: bytes | Path) -> Photograph:
    """`read_photograph` and what kind of file it was; of several frames the first."""
    with open_picture(source) as file:
        _check_tiff(file)
        _scale_clear_colour(file)
        file.load()
        # After loading: a PNG may have its EXIF behind the pixels, a TIFF is turned by loading it.
        turn = _turn(file)
        base, alpha = _base_and_alpha(file)
        transform = _to_srgb(file.info.get("icc_profile") or b"", base.mode)
        if transform is None:
            rgb = base.convert("RGB")
        else:
            rgb = ImageCms.applyTransform(base, transform) or base
        if alpha is not None:
            rgb.putalpha(alpha)
            rgb = Image.alpha_composite(Image.new("RGBA", rgb.size, "white"), rgb).convert("RGB")
        plain = file.mode in ("RGB", "L") and (turn, alpha, transform) == (None, None, None)
        # Elsewhere frames are counted by reading them, and one may be damaged.
        single = file.format in _PLAIN_FORMATS and getattr(file, "n_frames", 1) == 1
        image = rgb if turn is None else rgb.transpose(turn)
        return Photograph(image, file.format or "", plain and single)


def _check_tiff(file: ImageFile.ImageFile) -> None:
    """PictureError for what Pillow reads as something else: the small copy with which raw
    photographs begin, and wide colours in a plane each, whose bytes it mixes up."""
    tags = file.tag_v2 if isinstance(file, TiffImageFile) else {}
    kind = tags.get(_KIND_TAG)
    if isinstance(kind, int) and kind & _SMALL_COPY:
        raise PictureError(
            "it begins with a small copy of the picture, as raw photographs do: convert it to JPEG"
        )
    bits = tags.get(_BITS_TAG, ())
    if tags.get(_PLANES_TAG) == _SEPARATE_PLANES and len(bits) > 1 and max(bits) > 8:
        raise PictureError(
            f"its colours of {max(bits)} bits lie in a plane each, which cannot be read here: "
            "convert it to 8 bits"
        )


def _scale_clear_colour(file: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a PNG, which Pillow leaves as it is stored, to 8 bits as
    Pillow will bring the pixels."""
    if file.format != "PNG" or not file.tile:
        return
    clear, stored = file.info.get("transparency"), file.tile[0].args
    if isinstance(clear, int):
        file.info["transparency"] = clear * {"L;2": 85, "L;4": 17}.get(str(stored), 1)
    elif isinstance(clear, tuple):
        shift = 8 if stored == "RGB;16B" else 0
        file.info["transparency"] = tuple(value >> shift & 255 for value in clear)


def _turn(file: ImageFile.ImageFile) -> Image.Transpose | None:
    try:
        return _TURNS.get(file.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # as in `open_picture`; a picture with malformed EXIF is still a picture
        return None


def _base_and_alpha(image: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """Colours of a loaded picture as L, RGB, CMYK or LAB, and its opacity, None if it has none."""
    if image.mode == "F" or image.mode.startswith("I") or is_signed(image):
        return _narrowed(image)
    grey = image.mode in ("1", "L", "LA", "La")
    if not image.has_transparency_data:
        same = image.mode in ("CMYK", "LAB")
        return (image if same else image.convert("L" if grey else "RGB")), None
    both = image.convert("LA" if grey else "RGBA")
    return both.convert("L" if grey else "RGB"), both.getchannel("A")


def _narrowed(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture of wider pixels as L, black to white being the range of the type of its file."""
    alpha = None
    if image.mode == "F":
        values, top = np.asarray(image), 1
        if not (values.min() >= 0 and values.max() <= 1):  # NaN is refused, too
            raise PictureError(
                f"its pixels are fractions from {values.min():g} to {values.max():g}; which of "
                "them are black and white is known from 0 to 1 only"
            )
    else:
        values, top = integer_pixels(image)
        if (clear := image.info.get("transparency")) is not None:
            alpha = Image.fromarray(np.where(values == clear, np.uint8(0), np.uint8(255)))
    exact = np.float32 if top <= 65535 else np.float64
    levels = np.rint(values * exact(255 / top)).astype(np.uint8)
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_TAG) == 0:
        levels = 255 - levels  # 0 is white
    return Image.fromarray(levels), alpha


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Colours of a mode to sRGB, None if they are sRGB or, as viewers have it, if the profile is
    broken or one of other colours."""
    try:
        if mode == "LAB":
            space = ImageCms.createProfile("LAB")
        else:
            space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
            if space.xcolor_space.strip() != _PROFILE_SPACE[mode]:
                return None
        source, target = ImageCms.ImageCmsProfile(space), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, mode, "RGB")
        if mode in ("RGB", "L"):
            probe = _lattice(mode)
            moved = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
            if np.abs(moved - np.asarray(probe.convert("RGB"))).max() <= _SAME_COLOUR:
                return None
        return transform
    except Exception:  # as in `open_picture`
        return None


def _lattice(mode: str) -> Image.Image:
    """Colours spread over all of a mode."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3))
