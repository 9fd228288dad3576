"""The data that crosses every boundary of the library: names, shapes and ranges in one place."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from datamodules.modalities import DISPARITY_MAX, DISPARITY_UNKNOWN
from datamodules.rays import ImageRays, PinholeCamera
from renderers.cameras import Camera


@dataclass(frozen=True)
class Attributes:
    """Attributes of the objects beside their class.

    size         (B, 3) float32  box length, width, height; NaN unknown
    time_of_day  (B,)   int64    0 day, 1 dawn_dusk, 2 night, -1 unknown
    semantics    (B, F) float32  semantic feature vectors, NaN rows unknown; None if not loaded
    """

    size: Tensor
    time_of_day: Tensor
    semantics: Tensor | None = None

    def map(self, transform: Callable[[Tensor], Tensor]) -> Attributes:
        """Apply one function to every tensor."""
        return Attributes(
            transform(self.size),
            transform(self.time_of_day),
            _optional(transform, self.semantics),
        )


@dataclass(frozen=True)
class PixelRays:
    """Rays through the centres of all pixels, in the world of `renderers.cameras`.

    origins     (B, H, W, 3) float32
    directions  (B, H, W, 3) float32, unit length

    ``flatten(1, 2)`` makes them (B, R, 3) row by row, as `renderers.rays.Rays` takes them.
    """

    origins: Tensor
    directions: Tensor

    def mirrored(self) -> PixelRays:
        """Rays of the mirrored images, which show the world mirrored at x = 0."""
        sign = self.origins.new_tensor([-1.0, 1.0, 1.0])
        return PixelRays(self.origins.flip(2) * sign, self.directions.flip(2) * sign)


@dataclass(frozen=True)
class AnyBatch(ABC):
    """Base of all batches: keys, and tensors whose first dimension counts them."""

    keys: tuple[str, ...]

    @abstractmethod
    def map(self, transform: Callable[[Tensor], Tensor]) -> Self:
        """Apply one function to every tensor of the batch."""

    def __len__(self) -> int:
        """Number of samples B."""
        return len(self.keys)

    def __getitem__(self, part: slice | list[int]) -> Self:
        """A part of the batch, or the samples at some positions."""
        keys = self.keys[part] if isinstance(part, slice) else tuple(self.keys[n] for n in part)
        return replace(self.map(lambda tensor: tensor[part]), keys=keys)

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order in which `map` visits them."""
        found: list[Tensor] = []

        def note(tensor: Tensor) -> Tensor:
            found.append(tensor)
            return tensor

        self.map(note)
        return found

    def to(self, device: torch.device | str) -> Self:
        """Move every tensor to a device, one by one; Lightning calls this, of batches that
        `datamodules.transfer` has moved for nothing."""
        return self.map(lambda tensor: tensor.to(device))


BatchT = TypeVar("BatchT", bound=AnyBatch)


@dataclass(frozen=True)
class Batch(AnyBatch):
    """A batch of images with whatever was labelled, in compact storage types.

    keys    length B
    image   (B, 3, H, W)  uint8
    label   (B,)          int64    -1 unlabelled
    depth   (B, H, W)     uint16   relative disparity, larger is nearer, 0 unknown
    mask    (B, H, W)     uint8    0 background, 1 object, 2 occluder, 255 unknown
    camera  cam2world (B, 4, 4), intrinsics (B, 3, 3)
    rays    origins and directions (B, H, W, 3)
    disparity_unit  (B,)  float32  1/m that one step of depth is, NaN unknown; None without depth
    """

    image: Tensor
    label: Tensor
    depth: Tensor | None = None
    mask: Tensor | None = None
    camera: Camera | None = None
    attributes: Attributes | None = None
    rays: PixelRays | None = None
    disparity_unit: Tensor | None = None

    def map(self, transform: Callable[[Tensor], Tensor]) -> Self:
        """Apply one function to every tensor of the batch."""
        camera, rays = self.camera, self.rays
        return replace(
            self,
            image=transform(self.image),
            label=transform(self.label),
            depth=_optional(transform, self.depth),
            mask=_optional(transform, self.mask),
            camera=camera and Camera(transform(camera.cam2world), transform(camera.intrinsics)),
            attributes=self.attributes and self.attributes.map(transform),
            rays=rays and PixelRays(transform(rays.origins), transform(rays.directions)),
            disparity_unit=_optional(transform, self.disparity_unit),
        )

    def mirrored(self) -> Batch:
        """The mirrored images with rays and masks alone of what is known of them beside their
        labels."""
        rays = self.rays and self.rays.mirrored()
        image, mask = self.image.flip(-1), None if self.mask is None else self.mask.flip(-1)
        return replace(
            self,
            image=image,
            depth=None,
            mask=mask,
            camera=None,
            rays=rays,
            disparity_unit=None,
        )

    def float_image(self) -> Tensor:
        """Images as float32 in [0, 1]: (B, 3, H, W)."""
        return self.image.to(torch.float32) / 255

    def size(self) -> Tensor | None:
        """Length, width and height of the objects' boxes (B, 3), NaN where unknown; None if no
        attributes were loaded."""
        return None if self.attributes is None else self.attributes.size

    def disparity(self) -> Tensor:
        """Relative disparity as float32 in [0, 1], 0 where unknown: (B, H, W).

        Raises ValueError if the batch carries no depth.
        """
        return self._require_depth().to(torch.float32) / DISPARITY_MAX

    def disparity_known(self) -> Tensor:
        """Mask of known relative disparity: (B, H, W) bool.

        Raises ValueError if the batch carries no depth.
        """
        return self._require_depth().to(torch.int32) != DISPARITY_UNKNOWN

    def distance(self) -> Tensor:
        """Depth in metres: (B, H, W) float32, NaN where it or its unit is unknown.

        Raises ValueError if the batch carries no depth.
        """
        depth, unit = self._require_depth().to(torch.float32), self.disparity_unit
        if unit is None:
            return torch.full_like(depth, torch.nan)
        return torch.where(depth > 0, 1 / (depth * unit[:, None, None]), torch.nan)

    def _require_depth(self) -> Tensor:
        if self.depth is None:
            raise ValueError("the batch has no depth: set depth: true in the datamodule")
        return self.depth


@dataclass(frozen=True)
class TokenBatch(AnyBatch):
    """A batch of images as the tokens of a stage-1 model, with whatever was labelled.

    keys        length B
    tokens      (B, T) int64  code indices
    label       (B,)   int64  -1 unlabelled
    """

    tokens: Tensor
    label: Tensor
    attributes: Attributes

    def map(self, transform: Callable[[Tensor], Tensor]) -> Self:
        """Apply one function to every tensor of the batch."""
        return replace(
            self,
            tokens=transform(self.tokens),
            label=transform(self.label),
            attributes=self.attributes.map(transform),
        )


@dataclass(frozen=True)
class Labelled:
    """Labels of one image beside its pixels: those of a batch without B.

    label and time_of_day -1 unknown; size (3,) float32, NaN unknown; semantics (F,) float32, NaN
    unknown, None if not loaded.
    """

    key: str
    label: int
    size: np.ndarray
    time_of_day: int
    semantics: np.ndarray | None


@dataclass(frozen=True)
class Sample(Labelled):
    """One image with its labels, decoded: the fields of `Batch` without B, as numpy arrays.

    image (3, H, W) uint8; depth (H, W) uint16; mask (H, W) uint8; camera and rays as named there;
    disparity_unit NaN unknown.
    """

    image: np.ndarray
    depth: np.ndarray | None
    mask: np.ndarray | None
    camera: PinholeCamera | None
    rays: ImageRays | None
    disparity_unit: float = math.nan


@dataclass(frozen=True)
class TokenSample(Labelled):
    """One image as tokens (T,) int64, with its labels."""

    tokens: np.ndarray


def _optional(transform: Callable[[Tensor], Tensor], tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else transform(tensor)
