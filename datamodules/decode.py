"""Decoding of images and their sidecars from the bytes of a shard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datamodules.augment import (
    Augmentation,
    Draw,
    Window,
    cut_camera,
    cut_image,
    cut_map,
    cut_rays,
)
from datamodules.image_bytes import decode_image, decode_map
from datamodules.join import RawSample
from datamodules.modalities import (
    DEPTH,
    DISPARITY_UNKNOWN,
    MASK,
    MASK_OBJECT,
    MASK_OCCLUDER,
    MASK_UNKNOWN,
    RAYS,
)
from datamodules.rays import ImageRays, PinholeCamera, pinhole_rays
from datamodules.rays_file import read_rays
from datamodules.sample_record import (
    read_disparity_unit,
    read_label,
    read_semantics,
    read_size,
    read_time_of_day,
)
from datamodules.schema import Sample


@dataclass(frozen=True)
class ImageDecoder:
    """Callable (raw, draw) -> `Sample`, the decoder of image shards.

    augmentation  how stored images are cut
    semantics     width of the semantic feature vectors to read, 0 reads none
    camera        read the pinhole camera
    rays          read the rays of all pixels, or compute them from the pinhole camera
    classes       labels are below it, 0 takes any
    """

    augmentation: Augmentation
    semantics: int = 0
    camera: bool = False
    rays: bool = False
    classes: int = 0

    def __call__(self, raw: RawSample, draw: Draw) -> Sample:
        """Decode one image and its sidecars and cut them alike.

        Raises ValueError with the reason when a part cannot be decoded or does not fit the rest.
        """
        pixels = decode_image(raw.payload, raw.extension)
        image = torch.from_numpy(pixels).permute(2, 0, 1)
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
            label=read_label(raw.record, self.classes),
            depth=None if depth is None else depth.numpy().view(np.uint16),
            mask=None if mask is None else mask.numpy(),
            camera=camera,
            rays=rays,
            disparity_unit=read_disparity_unit(raw.record),
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


def _decode_maps(raw: RawSample, size: tuple[int, int]) -> dict[str, Tensor]:
    """Those of depth (H, W) int16 bits and mask (H, W) uint8 that were read."""
    maps: dict[str, Tensor] = {}
    if DEPTH in raw.sidecars:
        # As int16, which can be flipped.
        depth = decode_map(raw.sidecars[DEPTH], 16, size, DEPTH).view(np.int16)
        maps[DEPTH] = torch.from_numpy(depth)
    if MASK in raw.sidecars:
        codes = decode_map(raw.sidecars[MASK], 8, size, MASK)
        others = (codes > MASK_OCCLUDER) & (codes != MASK_UNKNOWN)  # quicker than any table
        if others.any():
            raise ValueError(f"its mask has code {codes[others][0]}, expected 0, 1, 2 or 255")
        maps[MASK] = torch.from_numpy(codes)
    return maps
