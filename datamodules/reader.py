"""Read the image at a place of a split, and go on to its neighbour when it is unusable."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from datamodules.augment import Augmentation, draw
from datamodules.decode import decode_sample
from datamodules.errors import DataError
from datamodules.join import JoinedShard, SampleError
from datamodules.lru import LruCache
from datamodules.manifest import ShardInfo
from datamodules.order import Place
from datamodules.schema import Sample

OnError = Literal["error", "skip"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What is read, and how.

    shards       the split's shards, in manifest order
    modalities   those to read, rgb always
    open_shards  shards kept open at once
    """

    root: str
    split: str
    shards: Sequence[ShardInfo]
    modalities: tuple[str, ...]
    augmentation: Augmentation
    seed: int
    on_error: OnError
    open_shards: int


class ShardReader:
    """Random access to the decoded images of a split."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: LruCache[int, JoinedShard] = LruCache(source.open_shards, JoinedShard.close)

    def read(self, place: Place) -> tuple[Sample, bool]:
        """The image at a place, and whether another one had to take its place.

        With ``on_error: skip`` an unusable image is replaced by the next usable one of its shard,
        then of the shards after it: the same one whoever reads it. Raises DataError naming shard,
        key and fault with ``on_error: error``, or when no image of the split is usable.
        """
        try:
            return self._load(place), False
        except SampleError as error:
            if self._source.on_error == "error":
                raise
            _log.warning("skipped: %s", error)
        for other in self._neighbours(place):
            try:
                return self._load(other), True
            except SampleError:
                continue
        raise DataError(f"no image of split {self._source.split} in {self._source.root} is usable.")

    def _load(self, place: Place) -> Sample:
        shard = self._open.get(place.shard, self._open_shard)
        raw = shard.read(place.row)
        source = self._source
        try:
            numbers = draw(source.seed, raw.key, place.epoch)
            return decode_sample(raw, source.augmentation, numbers)
        except ValueError as error:
            raise SampleError(f"{shard.describe(place.row)}: {error}.") from error

    def _open_shard(self, number: int) -> JoinedShard:
        source = self._source
        strict = source.on_error == "error"
        return JoinedShard(
            source.root, source.split, source.shards[number], source.modalities, strict
        )

    def _neighbours(self, place: Place) -> Iterator[Place]:
        shards = self._source.shards
        for step in range(len(shards)):
            shard = (place.shard + step) % len(shards)
            samples = shards[shard].samples
            first = place.row + 1 if step == 0 else 0
            for row in range(first, first + samples):
                yield Place(place.epoch, shard, row % samples)
