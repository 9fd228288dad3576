"""Global order of the images of a split, a pure function of its seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from datamodules.lru import LruCache

_SHARD_ORDER, _SAMPLE_ORDER = 0, 1


class Place(NamedTuple):
    """Location of an image: the epoch it is seen in, the shard's index, the row in that shard."""

    epoch: int
    shard: int
    row: int


class Order(Protocol):
    """A sequence of images, addressed by position."""

    def locate(self, positions: np.ndarray) -> list[Place]:
        """Places of the images at the given positions (n,) int64."""


class StorageOrder:
    """The images in the order they are stored, once: the order of validation.

    samples  images of each shard
    """

    def __init__(self, samples: Sequence[int]) -> None:
        self._ends = np.cumsum(np.asarray(samples, np.int64))

    def locate(self, positions: np.ndarray) -> list[Place]:
        """Places of the images at the given positions, all in epoch 0."""
        shards = np.searchsorted(self._ends, positions, side="right")
        rows = positions - np.concatenate(([0], self._ends))[shards]
        return [Place(0, *place) for place in zip(shards.tolist(), rows.tolist(), strict=True)]


class LaneOrder:
    """Endless shuffled order of training: every image once an epoch, in a fixed number of lanes.

    Position g (images seen since the start of the run) belongs to epoch e = g // N and to lane
    l = g mod L. The shards of an epoch are shuffled, the samples of each shard are shuffled, and
    the resulting sequence is cut into L contiguous segments, one a lane, whose lengths are the
    number of positions the lane holds in that epoch. So the order depends on (seed, epoch, lanes)
    and on nothing else, a lane reads one shard at a time, and L streams are interleaved into each
    batch.

    samples  images of each shard
    seed     non-negative
    lanes    L, a constant of the run
    """

    def __init__(self, samples: Sequence[int], seed: int, lanes: int) -> None:
        self._samples = np.asarray(samples, np.int64)
        self._images = int(self._samples.sum())
        self._seed = seed
        self._lanes = lanes
        self._epochs: LruCache[int, _Epoch] = LruCache(2)
        self._rows: LruCache[tuple[int, int], np.ndarray] = LruCache(2 * lanes)

    def locate(self, positions: np.ndarray) -> list[Place]:
        """Places of the images at the given positions g >= 0."""
        places = []
        for g in positions.tolist():
            number = g // self._images
            epoch = self._epochs.get(number, self._shuffle_shards)
            sequence = epoch.lane_starts[g % self._lanes] + self._turn(number, g)
            slot = int(np.searchsorted(epoch.shard_ends, sequence, side="right"))
            shard = int(epoch.shards[slot])
            first = int(epoch.shard_ends[slot]) - int(self._samples[shard])
            rows = self._rows.get((number, shard), self._shuffle_rows)
            places.append(Place(number, shard, int(rows[sequence - first])))
        return places

    def _turn(self, epoch: int, g: int) -> int:
        """Number of positions of g's lane that precede g within the epoch."""
        start = epoch * self._images
        first = start + (g - start) % self._lanes
        return (g - first) // self._lanes

    def _shuffle_shards(self, epoch: int) -> _Epoch:
        shards = self._permutation(len(self._samples), _SHARD_ORDER, epoch)
        offsets = (np.arange(self._lanes) - epoch * self._images) % self._lanes
        lengths = np.maximum(0, -((offsets - self._images) // self._lanes))
        return _Epoch(
            shards,
            np.cumsum(self._samples[shards]),
            np.concatenate(([0], np.cumsum(lengths)[:-1])).tolist(),
        )

    def _shuffle_rows(self, key: tuple[int, int]) -> np.ndarray:
        epoch, shard = key
        return self._permutation(int(self._samples[shard]), _SAMPLE_ORDER, epoch, shard)

    def _permutation(self, length: int, *key: int) -> np.ndarray:
        # Raw Philox words keep their values across NumPy releases, Generator.permutation may not.
        bits = np.random.Philox(np.random.SeedSequence([self._seed, *key]))
        return np.argsort(bits.random_raw(length), kind="stable")


class _Epoch(NamedTuple):
    """Shard order of an epoch, where each shard ends in the sequence, where each lane starts."""

    shards: np.ndarray
    shard_ends: np.ndarray
    lane_starts: list[int]
