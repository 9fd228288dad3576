"""Read the sample at a place of a split, and go on to its neighbour when it is unusable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, Literal, TypeVar

from datamodules.augment import Draw, draw
from datamodules.errors import DataError
from datamodules.join import JoinedShard, RawSample, SampleError
from datamodules.lru import LruCache
from datamodules.manifest import ShardInfo
from datamodules.order import Place
from datamodules.schema import BatchT

OnError = Literal["error", "skip"]
SampleT = TypeVar("SampleT")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoding(Generic[SampleT, BatchT]):
    """Decoding of the bytes of a shard to samples, and of samples to a batch.

    modalities  those to read; the first leads, its tar gives the keys, their order and the labels
    decode      from the bytes and the random numbers of an image to a sample, ValueError with the
                reason if it is unusable; picklable
    collate     from samples to a batch
    """

    modalities: tuple[str, ...]
    decode: Callable[[RawSample, Draw], SampleT]
    collate: Callable[[Sequence[SampleT]], BatchT]


@dataclass(frozen=True)
class Source(Generic[SampleT, BatchT]):
    """Shards of a split, and their decoding.

    shards       the split's shards, in manifest order
    open_shards  shards kept open at once
    """

    root: str
    split: str
    shards: Sequence[ShardInfo]
    decoding: Decoding[SampleT, BatchT]
    seed: int
    on_error: OnError
    open_shards: int


class ShardReader(Generic[SampleT, BatchT]):
    """Random access to the decoded samples of a split."""

    def __init__(self, source: Source[SampleT, BatchT]) -> None:
        self._source = source
        self._open: LruCache[int, JoinedShard] = LruCache(source.open_shards, JoinedShard.close)

    def read(self, place: Place) -> tuple[SampleT, bool]:
        """The sample at a place, and whether another one had to take its place.

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

    def close(self) -> None:
        """Close the shards that are open; reading opens them again."""
        self._open.clear()

    def _load(self, place: Place) -> SampleT:
        shard = self._open.get(place.shard, self._open_shard)
        raw = shard.read(place.row)
        try:
            numbers = draw(self._source.seed, raw.key, place.epoch)
            return self._source.decoding.decode(raw, numbers)
        except ValueError as error:
            raise SampleError(f"{shard.describe(place.row)}: {error}.") from error

    def _open_shard(self, number: int) -> JoinedShard:
        source = self._source
        strict = source.on_error == "error"
        shard, modalities = source.shards[number], source.decoding.modalities
        return JoinedShard(source.root, source.split, shard, modalities, strict)

    def _neighbours(self, place: Place) -> Iterator[Place]:
        shards = self._source.shards
        for step in range(len(shards)):
            shard = (place.shard + step) % len(shards)
            first = place.row + 1 if step == 0 else 0
            # Not those that the manifest lists: a damaged one may list a million that are missing.
            present = self._open.get(shard, self._open_shard).present
            for row in chain(range(first, present), range(min(first, present))):
                yield Place(place.epoch, shard, row)
