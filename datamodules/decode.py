"""From the compressed bytes of one image to a `Sample`."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, decode_png, decode_webp

from datamodules.augment import Augmentation, Draw, cut_camera, cut_image, cut_map
from datamodules.join import RawSample
from datamodules.modalities import DEPTH, DISPARITY_UNKNOWN, MASK, MASK_OBJECT, RAYS
from datamodules.sample_record import read_label, read_semantics, read_size, read_time_of_day
from datamodules.schema import Sample

_IMAGE_DECODERS: Mapping[str, Callable[..., Tensor]] = {
    "jpg": decode_jpeg,
    "jpeg": decode_jpeg,
    "JPEG": decode_jpeg,
    "png": decode_png,
    "webp": decode_webp,
}


@dataclass(frozen=True)
class ImageDecoder:
    """Callable (raw, draw) -> `Sample`, the decoder of image shards.

    augmentation  how stored images are cut
    semantics     width of the semantic feature vectors to read, 0 reads none
    """

    augmentation: Augmentation
    semantics: int = 0

    def __call__(self, raw: RawSample, draw: Draw) -> Sample:
        """As `decode_sample`."""
        return decode_sample(raw, self.augmentation, draw, self.semantics)


def decode_sample(
    raw: RawSample, augmentation: Augmentation, draw: Draw, semantics: int = 0
) -> Sample:
    """Decode one image and its sidecars and cut them alike.

    Raises ValueError with the reason when a part cannot be decoded or does not fit the rest.
    """
    image = _decode_image(raw)
    height, width = image.shape[1:]
    resolution = augmentation.resolution
    if min(height, width) < resolution:
        raise ValueError(f"it is {width} x {height}, smaller than resolution {resolution}")
    window = augmentation.window(height, width, draw)
    flip = augmentation.flip and draw.flip
    maps: dict[str, Tensor] = {}
    for modality, pixels in ((DEPTH, torch.uint16), (MASK, torch.uint8)):
        if modality in raw.sidecars:
            maps[modality] = _decode_map(raw.sidecars[modality], pixels, (height, width), modality)
    if augmentation.background is not None:
        image, maps = _isolated(image, maps, augmentation.background)
    maps = {name: cut_map(values, window, resolution, flip) for name, values in maps.items()}
    cam2world, intrinsics = None, None
    if RAYS in raw.sidecars:
        camera = read_camera(bytes(raw.sidecars[RAYS]))
        cam2world, intrinsics = cut_camera(*camera, window, (height, width), flip)
    depth, mask = maps.get(DEPTH), maps.get(MASK)
    return Sample(
        key=raw.key,
        image=cut_image(image, window, resolution, flip).numpy(),
        label=read_label(raw.record),
        depth=None if depth is None else depth.numpy().view(np.uint16),
        mask=None if mask is None else mask.numpy(),
        cam2world=cam2world,
        intrinsics=intrinsics,
        size=read_size(raw.record),
        time_of_day=read_time_of_day(raw.record),
        semantics=read_semantics(raw.record, semantics),
    )


def read_camera(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """cam2world (4, 4) and intrinsics (3, 3) of a rays file; ValueError when it is not one."""
    found = _stored_floats(content)
    if found is not None:
        return found
    try:
        with np.load(io.BytesIO(content)) as arrays:
            pose, matrix = arrays["cam2world"], arrays["intrinsics"]
            return pose.astype(np.float32).reshape(4, 4), matrix.astype(np.float32).reshape(3, 3)
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, ZlibError) as error:
        raise ValueError(f"its rays are not cam2world and intrinsics: {error}") from error


def _stored_floats(content: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """The arrays as `encode_rays` lays them out, far faster than np.load; else None."""
    arrays = []
    position = 0
    for name, shape in ((b"cam2world.npy", (4, 4)), (b"intrinsics.npy", (3, 3))):
        start = content.find(b"\x93NUMPY", position)
        if start < 0 or content.find(name, position, start) < 0:
            return None
        header_end = start + 10 + struct.unpack_from("<H", content, start + 8)[0]
        position = header_end + 4 * shape[0] * shape[1]
        header = f"'descr': '<f4', 'fortran_order': False, 'shape': {shape}".encode()
        if header not in content[start:header_end]:
            return None
        arrays.append(np.frombuffer(content[header_end:position], "<f4").reshape(shape))
    return arrays[0], arrays[1]


def _isolated(
    image: Tensor, maps: dict[str, Tensor], background: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """An image (3, H, W) uint8 with grey around its object, whose disparity alone stays known.

    Raises ValueError if there is no mask among the maps.
    """
    if MASK not in maps:
        raise ValueError("it has no mask, which the background needs")
    around = maps[MASK] != MASK_OBJECT
    if DEPTH in maps:
        maps = maps | {DEPTH: maps[DEPTH].masked_fill(around, DISPARITY_UNKNOWN)}
    return image.masked_fill(around, round(255 * background)), maps


def _decode_image(raw: RawSample) -> Tensor:
    decoder = _IMAGE_DECODERS.get(raw.extension)
    if decoder is None:
        raise ValueError(f"its image type {raw.extension!r} is not jpg, png or webp")
    image = _decode(decoder, raw.payload, ImageReadMode.RGB, "image")
    if image.dtype != torch.uint8:
        raise ValueError(f"its image has {image.dtype} pixels, expected 8 bits a channel")
    return image


def _decode_map(
    content: bytearray, pixels: torch.dtype, size: tuple[int, int], modality: str
) -> Tensor:
    """Decode a one-channel PNG to (H, W); 16-bit maps come as int16 views, which can be flipped."""
    values = _decode(decode_png, content, ImageReadMode.UNCHANGED, modality)
    if values.dtype != pixels or values.shape != (1, *size):
        raise ValueError(
            f"its {modality} is {tuple(values.shape)} {values.dtype}, expected (1, {size[0]}, "
            f"{size[1]}) {pixels}"
        )
    return values[0].view(torch.int16) if pixels == torch.uint16 else values[0]


def _decode(
    decoder: Callable[..., Tensor], content: bytearray, mode: ImageReadMode, what: str
) -> Tensor:
    if not content:
        raise ValueError(f"its {what} is empty")
    try:
        return decoder(torch.frombuffer(content, dtype=torch.uint8), mode=mode)
    except RuntimeError as error:
        reason = str(error).split("\n", 1)[0].rsplit("/", 1)[-1]
        raise ValueError(f"its {what} cannot be decoded ({reason})") from error
