"""Images of a split by their rows, with all that the shards know of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from datamodules.augment import Augmentation, Framing, draw
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.join import JoinedShard, SampleError
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK, RAYS, RGB
from datamodules.sample_record import read_label
from datamodules.schema import Batch


class SplitRows:
    """Random access to the images of a split in stored order, cut as in validation.

    Depth, masks, rays and attributes come with them where the shards have them; with a grey around
    objects only their depth is known. One shard is open at a time: ask for rows in order.

    Args:
        root, manifest: of the shards.
        split: whose images.
        resolution: side of the images in pixels.
        framing: how they are cut.
    """

    def __init__(
        self,
        root: str,
        manifest: Manifest,
        split: str,
        resolution: int,
        framing: Framing = Framing(),
    ) -> None:
        self.root, self.manifest, self.split = root, manifest, split
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
        return self._ends[-1] if self._ends else 0

    @property
    def has_rays(self) -> bool:
        """Whether it is known how images were seen."""
        return RAYS in self._modalities

    @property
    def has_depth(self) -> bool:
        """Whether they come with depth."""
        return DEPTH in self._modalities

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

    def labels(self) -> Tensor:
        """Labels (N,) int64 of all images, -1 unlabelled; nothing else of them is read."""
        return torch.tensor(list(self._labels()), dtype=torch.int64)

    def close(self) -> None:
        """Close the shard that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _labels(self) -> Iterator[int]:
        for shard in self._shards:
            joined = JoinedShard(self.root, self.split, shard, (RGB,), strict=True)
            try:
                for row in range(shard.samples):
                    key, record = joined.record(row)
                    try:
                        yield read_label(record, len(self.manifest.classes))
                    except ValueError as error:
                        raise DataError(f"{self.root}, key {key}: {error}.") from error
            finally:
                joined.close()

    def _shard(self, number: int) -> JoinedShard:
        if self._open is None or self._open[0] != number:
            self.close()
            shard = self._shards[number]
            joined = JoinedShard(self.root, self.split, shard, self._modalities, strict=True)
            self._open = number, joined
        return self._open[1]
