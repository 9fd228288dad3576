"""Decoding of images and their sidecars from the bytes of a shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, decode_png, decode_webp

from datamodules.augment import (
    Augmentation,
    Draw,
    Window,
    cut_camera,
    cut_image,
    cut_map,
    cut_rays,
)
from datamodules.join import RawSample
from datamodules.modalities import DEPTH, DISPARITY_UNKNOWN, MASK, MASK_OBJECT, RAYS
from datamodules.rays import ImageRays, PinholeCamera, pinhole_rays
from datamodules.rays_file import read_rays
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
    camera        read the pinhole camera
    rays          read the rays of all pixels, or compute them from the pinhole camera
    """

    augmentation: Augmentation
    semantics: int = 0
    camera: bool = False
    rays: bool = False

    def __call__(self, raw: RawSample, draw: Draw) -> Sample:
        """Decode one image and its sidecars and cut them alike.

        Raises ValueError with the reason when a part cannot be decoded or does not fit the rest.
        """
        image = _decode_image(raw)
        height, width = image.shape[1:]
        resolution = self.augmentation.resolution
        if min(height, width) < resolution:
            raise ValueError(f"it is {width} x {height}, smaller than resolution {resolution}")
        window = self.augmentation.window(height, width, draw)
        flip = self.augmentation.flip and draw.flip
        maps = _decode_maps(raw, (height, width))
        if self.augmentation.background is not None:
            image, maps = _isolated(image, maps, self.augmentation.background)
        maps = {name: cut_map(values, window, resolution, flip) for name, values in maps.items()}
        depth, mask = maps.get(DEPTH), maps.get(MASK)
        camera, rays = self._views(raw, window, (height, width), flip)
        return Sample(
            key=raw.key,
            image=cut_image(image, window, resolution, flip).numpy(),
            label=read_label(raw.record),
            depth=None if depth is None else depth.numpy().view(np.uint16),
            mask=None if mask is None else mask.numpy(),
            camera=camera,
            rays=rays,
            size=read_size(raw.record),
            time_of_day=read_time_of_day(raw.record),
            semantics=read_semantics(raw.record, self.semantics),
        )

    def _views(
        self, raw: RawSample, window: Window, size: tuple[int, int], flip: bool
    ) -> tuple[PinholeCamera | None, ImageRays | None]:
        """Camera and rays of the cut image, each None unless it is asked for."""
        if not (self.camera or self.rays):
            return None, None
        stored = read_rays(bytes(raw.sidecars[RAYS]), size)
        resolution = self.augmentation.resolution
        if isinstance(stored, PinholeCamera):
            camera = cut_camera(stored, window, size, flip)
            rays = pinhole_rays(camera, resolution) if self.rays else None
            return camera if self.camera else None, rays
        if self.camera:
            raise ValueError(
                "it has rays of its pixels and no pinhole camera: set camera: false, rays: true"
            )
        return None, cut_rays(stored, window, resolution, flip)


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


def _decode_maps(raw: RawSample, size: tuple[int, int]) -> dict[str, Tensor]:
    """Those of depth (H, W) int16 bits and mask (H, W) uint8 that were read."""
    maps: dict[str, Tensor] = {}
    for modality, pixels in ((DEPTH, torch.uint16), (MASK, torch.uint8)):
        if modality in raw.sidecars:
            maps[modality] = _decode_map(raw.sidecars[modality], pixels, size, modality)
    return maps


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
