"""Batches of a rank, as positions in the global order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from datamodules.errors import DataError


class Plan(Protocol):
    """Batches of one rank in one pass over a loader."""

    @property
    def batches(self) -> int:
        """Number of batches of a pass, the same on every rank."""

    @property
    def stride(self) -> int:
        """Positions by which one batch moves the run on; 0 when every pass begins anew."""

    @property
    def world(self) -> int:
        """Number of ranks."""

    def positions(self, start: int, batch: int) -> np.ndarray:
        """Positions (n,) int64 of the images of a batch in a pass that begins at `start`."""


@dataclass(frozen=True)
class TrainPlan:
    """Endless training: a global batch is the next world x batch_size positions.

    Rank r takes the positions g with g mod world = r. A pass has as many batches as fit in an
    epoch of `images`, at least one; the next pass goes on where it ended.
    """

    images: int
    batch_size: int
    rank: int
    world: int

    @property
    def batches(self) -> int:
        """Number of batches of a pass, the same on every rank."""
        return max(1, self.images // self.stride)

    @property
    def stride(self) -> int:
        """Images of a global batch."""
        return self.world * self.batch_size

    def positions(self, start: int, batch: int) -> np.ndarray:
        """Positions (batch_size,) int64 of this rank's images."""
        first = start + batch * self.stride
        first += (self.rank - first) % self.world
        return first + self.world * np.arange(self.batch_size, dtype=np.int64)


@dataclass(frozen=True)
class ValPlan:
    """Validation: each of the `images` once, as many batches on every rank, none of them empty.

    Rank r holds the positions g with g mod world = r and deals them into the batches evenly, so
    batch sizes differ by one at most. They stay within batch_size, except that a batch_size of 1
    becomes 2 for some ranks when world does not divide `images`.

    Raises DataError when a rank would get no image.
    """

    images: int
    batch_size: int
    rank: int
    world: int

    def __post_init__(self) -> None:
        """Check that every rank has an image."""
        if self.images < self.world:
            raise DataError(
                f"validation has {self.images} images for {self.world} ranks: give it at least "
                "one image a rank (max_val_images, or a larger val split)."
            )

    @property
    def batches(self) -> int:
        """Number of batches of a pass, the same on every rank."""
        return min(-(-self.images // (self.world * self.batch_size)), self.images // self.world)

    @property
    def stride(self) -> int:
        """0: every pass begins at the first image."""
        return 0

    def positions(self, start: int, batch: int) -> np.ndarray:
        """Positions of this rank's images."""
        own = -(-(self.images - self.rank) // self.world)
        first, end = (own * edge // self.batches for edge in (batch, batch + 1))
        return start + self.rank + self.world * np.arange(first, end, dtype=np.int64)
