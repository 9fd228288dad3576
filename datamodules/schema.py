"""The data that crosses every boundary of the library: names, shapes and ranges in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from datamodules.modalities import DISPARITY_MAX, DISPARITY_UNKNOWN
from renderers.cameras import Camera


@dataclass(frozen=True)
class Attributes:
    """What is known of the objects beside their class.

    size         (B, 3) float32  box length, width, height; NaN unknown
    time_of_day  (B,)   int64    0 day, 1 dawn_dusk, 2 night, -1 unknown
    """

    size: Tensor
    time_of_day: Tensor

    def map(self, transform: Callable[[Tensor], Tensor]) -> Attributes:
        """Apply one function to every tensor."""
        return Attributes(transform(self.size), transform(self.time_of_day))


@dataclass(frozen=True)
class Batch:
    """A batch of images with whatever was labelled, in compact storage types.

    keys    length B
    image   (B, 3, H, W)  uint8
    label   (B,)          int64    -1 unlabelled
    depth   (B, H, W)     uint16   relative disparity, larger is nearer, 0 unknown
    mask    (B, H, W)     uint8    0 background, 1 object, 2 occluder, 255 unknown
    camera  cam2world (B, 4, 4), intrinsics (B, 3, 3)
    """

    keys: tuple[str, ...]
    image: Tensor
    label: Tensor
    depth: Tensor | None = None
    mask: Tensor | None = None
    camera: Camera | None = None
    attributes: Attributes | None = None

    def __len__(self) -> int:
        """Number of images B."""
        return len(self.keys)

    def __getitem__(self, part: slice) -> Batch:
        """A part of the batch."""
        return replace(self.map(lambda tensor: tensor[part]), keys=self.keys[part])

    def map(self, transform: Callable[[Tensor], Tensor]) -> Batch:
        """Apply one function to every tensor of the batch."""
        camera = self.camera
        return Batch(
            keys=self.keys,
            image=transform(self.image),
            label=transform(self.label),
            depth=_optional(transform, self.depth),
            mask=_optional(transform, self.mask),
            camera=camera and Camera(transform(camera.cam2world), transform(camera.intrinsics)),
            attributes=self.attributes and self.attributes.map(transform),
        )

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order in which `map` visits them."""
        found: list[Tensor] = []

        def note(tensor: Tensor) -> Tensor:
            found.append(tensor)
            return tensor

        self.map(note)
        return found

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Move every tensor to a device (Lightning calls this)."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Copy every tensor to page-locked memory, so that copies to the GPU overlap with work."""
        return self.map(lambda tensor: tensor.pin_memory())

    def float_image(self) -> Tensor:
        """Images as float32 in [0, 1]: (B, 3, H, W)."""
        return self.image.to(torch.float32) / 255

    def disparity(self) -> Tensor:
        """Relative disparity as float32 in [0, 1], 0 where unknown: (B, H, W).

        Raises ValueError if the batch carries no depth.
        """
        return self._require_depth().to(torch.float32) / DISPARITY_MAX

    def disparity_known(self) -> Tensor:
        """Where the relative disparity is known: (B, H, W) bool.

        Raises ValueError if the batch carries no depth.
        """
        return self._require_depth().to(torch.int32) != DISPARITY_UNKNOWN

    def _require_depth(self) -> Tensor:
        if self.depth is None:
            raise ValueError("the batch has no depth: set depth: true in the datamodule")
        return self.depth


@dataclass(frozen=True)
class Sample:
    """One image with its labels, decoded: the fields of `Batch` without B, as numpy arrays.

    image (3, H, W) uint8; depth (H, W) uint16; mask (H, W) uint8; cam2world (4, 4) and
    intrinsics (3, 3) float32; size (3,) float32, NaN unknown; label and time_of_day -1 unknown.
    """

    key: str
    image: np.ndarray
    label: int
    depth: np.ndarray | None
    mask: np.ndarray | None
    cam2world: np.ndarray | None
    intrinsics: np.ndarray | None
    size: np.ndarray
    time_of_day: int


def _optional(transform: Callable[[Tensor], Tensor], tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else transform(tensor)
