"""Crop, resize and flip all modalities of an image alike, by draws that depend on the key alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from datamodules.errors import DataError, check_number
from datamodules.image_header import MAX_SIDE
from datamodules.rays import ImageRays, PinholeCamera, RayGrid

Crop = Literal["center", "random"]


class Draw(NamedTuple):
    """Random numbers of one image in one epoch: flip or not, crop position x, y in [0, 1)."""

    flip: bool
    x: float
    y: float


class Framing(NamedTuple):
    """Part of a photograph that a model knows: the middle square of `crop_share` of its shorter
    side, the object alone on the grey level `background` where one is given; see `Augmentation`."""

    crop_share: float = 1.0
    background: float | None = None


class Window(NamedTuple):
    """A square of the stored image in pixels: its upper left corner and its side."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Augmentation:
    """Crop, size, mirroring and background of training images.

    resolution  side of the result in pixels
    crop        where the crop window lies: in the middle, or anywhere
    crop_share  side of the window as a share of the shorter side of the image, in (0, 1];
                never under `resolution` pixels
    flip        mirror every other image
    background  grey level in [0, 1] to show around the object, by its mask; None leaves the
                photograph as it is

    Raises DataError for one that is out of range.
    """

    resolution: int
    crop: Crop = "center"
    crop_share: float = 1.0
    flip: bool = False
    background: float | None = None

    def __post_init__(self) -> None:
        check_number("resolution", self.resolution, 1, MAX_SIDE)
        if not 0 < self.crop_share <= 1:
            raise DataError(f"crop_share is {self.crop_share}, it must be above 0 and at most 1.")
        if self.background is not None and not 0 <= self.background <= 1:
            raise DataError(
                f"background is {self.background}, it must be a grey level from 0 to 1, or null."
            )

    def window(self, height: int, width: int, draw: Draw) -> Window:
        """The part of an image that is used; needs min(height, width) >= resolution."""
        side = max(self.resolution, round(self.crop_share * min(height, width)))
        if self.crop == "center":
            return Window((width - side) // 2, (height - side) // 2, side)
        left, top = int(draw.x * (width - side + 1)), int(draw.y * (height - side + 1))
        return Window(left, top, side)


def draw(seed: int, key: str, epoch: int) -> Draw:
    """Random numbers as a function of (seed, key, epoch) and nothing else."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{key}".encode(), digest_size=12).digest()
    flip, x, y = np.frombuffer(digest, "<u4").tolist()
    return Draw(flip >= 2**31, x / 2**32, y / 2**32)


def cut_image(image: Tensor, window: Window, resolution: int, flip: bool) -> Tensor:
    """Crop, resize with antialiasing and mirror an image (3, H, W) uint8 -> (3, r, r) uint8."""
    if image.shape[1:] != (window.side, window.side):
        image = image[:, window.top : window.top + window.side]
        image = image[:, :, window.left : window.left + window.side]
    if window.side != resolution:
        size = (resolution, resolution)
        image = interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return image.flip(-1) if flip else image


def cut_map(values: Tensor, window: Window, resolution: int, flip: bool) -> Tensor:
    """Crop, resize to the nearest pixel and mirror a map (H, W) of codes or depths -> (r, r)."""
    if values.shape != (window.side, window.side):
        values = values[window.top : window.top + window.side]
        values = values[:, window.left : window.left + window.side]
    if window.side != resolution:
        taken = ((torch.arange(resolution) + 0.5) * (window.side / resolution)).to(torch.int64)
        values = values[taken][:, taken]
    return values.flip(-1) if flip else values


def cut_camera(
    camera: PinholeCamera, window: Window, size: tuple[int, int], flip: bool
) -> PinholeCamera:
    """Camera of the cropped and mirrored image.

    size  (H, W) of the stored image

    Intrinsics are normalised, so resizing leaves them alone. Mirroring the image is mirroring the
    world in the plane x = 0: the pose becomes M P M with M = diag(-1, 1, 1, 1), cx becomes 1 - cx.
    """
    height, width = size
    scale = np.array([[width], [height], [window.side]]) / window.side
    shift = np.array([window.left, window.top, 0]) / window.side
    intrinsics = (camera.intrinsics * scale).astype(np.float32)
    intrinsics[:, 2] -= shift.astype(np.float32)
    if not flip:
        return PinholeCamera(camera.cam2world, intrinsics)
    mirror = np.array([-1, 1, 1, 1], np.float32)
    intrinsics[0, 2] = 1 - intrinsics[0, 2]
    intrinsics[0, 1] = -intrinsics[0, 1]
    return PinholeCamera(mirror[:, None] * camera.cam2world * mirror, intrinsics)


def cut_rays(rays: RayGrid, window: Window, resolution: int, flip: bool) -> ImageRays:
    """Rays of the r x r pixels of the cropped, resized and mirrored image.

    Without resizing they are the rays of the stored pixels, else bilinear ones at the centres of
    the new pixels: for a pinhole camera within a tenth of the squared spacing of the stored rays
    at distance 1. As with `cut_camera`, the image is mirrored with the world, in the plane x = 0:
    columns come in reverse order, x of origins and directions changes its sign.

    Raises ValueError where neighbouring directions are opposed.
    """
    centres = (np.arange(resolution) + 0.5) * (window.side / resolution) - 0.5
    columns = centres[::-1] if flip else centres
    cut = rays.at(window.top + centres, window.left + columns)
    if flip:
        for vectors in cut:
            np.negative(vectors[..., 0], out=vectors[..., 0])
    return cut
