"""Images of a split by their rows, with all that the shards know of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.augment import Augmentation, Framing, draw
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.join import JoinedShard, SampleError
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK, RAYS, RGB
from datamodules.sample_record import read_label, read_size, read_time_of_day
from datamodules.schema import Batch


@dataclass(frozen=True)
class Records:
    """What is known of N images beside their pixels.

    keys: N; label: (N,) int64, -1 unlabelled; size: (N, 3) float32 length, width and height of the
    object's box, NaN unknown; time_of_day: (N,) int64, -1 unknown.
    """

    keys: tuple[str, ...]
    label: Tensor
    size: Tensor
    time_of_day: Tensor


class SplitRows:
    """Random access to the images of a split in stored order, cut as in validation.

    Depth, masks, rays and attributes come with them where the shards have them; with a grey around
    objects only their depth is known. One shard is open at a time: ask for rows in order.

    Args:
        root, manifest: of the shards.
        split: whose images.
        resolution: side of the images in pixels.
        framing: how they are cut.
        most: of them, from the first; None takes all.
    """

    def __init__(
        self,
        root: str,
        manifest: Manifest,
        split: str,
        resolution: int,
        framing: Framing = Framing(),
        most: int | None = None,
    ) -> None:
        self.root, self.manifest, self.split, self._most = root, manifest, split, most
        self._shards = manifest.splits[split]
        self._ends = list(accumulate(shard.samples for shard in self._shards))
        self._modalities = (RGB, *(m for m in (DEPTH, MASK, RAYS) if m in manifest.modalities))
        view = Augmentation(
            resolution, crop_share=framing.crop_share, background=framing.background
        )
        self._decoder = ImageDecoder(view, rays=self.has_rays, classes=len(manifest.classes))
        self._open: tuple[int, JoinedShard] | None = None

    def __len__(self) -> int:
        """Number of images."""
        stored = self._ends[-1] if self._ends else 0
        return stored if self._most is None else min(stored, self._most)

    @property
    def has_rays(self) -> bool:
        """Whether it is known how images were seen."""
        return RAYS in self._modalities

    def read(self, rows: Sequence[int]) -> Batch:
        """The images of rows.

        Raises:
            DataError: one is damaged, with its key.
        """
        samples = []
        for row in rows:
            number = bisect_right(self._ends, row)
            shard = self._shard(number)
            raw = shard.read(row - self._ends[number] + self._shards[number].samples)
            try:
                samples.append(self._decoder(raw, draw(0, raw.key, 0)))
            except ValueError as error:
                raise SampleError(
                    f"{Path(self.root, self.split)}, key {raw.key}: {error}."
                ) from error
        return collate(samples)

    @cached_property
    def records(self) -> Records:
        """What is known of all images beside their pixels, without reading these.

        Raises:
            DataError: a record is damaged, with its key.
        """
        keys, rows = list[str](), []
        for shard in self._shards:
            joined = JoinedShard(self.root, self.split, shard, (RGB,), strict=True)
            try:
                for row in range(shard.samples):
                    key, record = joined.record(row)
                    keys.append(key)
                    rows.append(self._parsed(key, record))
            finally:
                joined.close()
        labels, sizes, times = zip(*rows[: len(self)], strict=True)
        size = torch.from_numpy(np.stack(sizes))
        known = tuple(keys[: len(self)])
        return Records(known, torch.tensor(labels), size, torch.tensor(times))

    def close(self) -> None:
        """Close the shard that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _parsed(self, key: str, record: Mapping[str, Any]) -> tuple[int, np.ndarray, int]:
        try:
            label = read_label(record, len(self.manifest.classes))
            return label, read_size(record), read_time_of_day(record)
        except ValueError as error:
            raise DataError(f"{self.root}, key {key}: {error}.") from error

    def _shard(self, number: int) -> JoinedShard:
        if self._open is None or self._open[0] != number:
            self.close()
            shard = self._shards[number]
            joined = JoinedShard(self.root, self.split, shard, self._modalities, strict=True)
            self._open = number, joined
        return self._open[1]
