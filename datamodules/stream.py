"""The share of one worker in every batch of a rank, from any position on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch.utils.data import IterableDataset, get_worker_info

from datamodules.errors import DataError
from datamodules.order import Order
from datamodules.packing import PackedBatch, pack
from datamodules.plan import Plan
from datamodules.reader import ShardReader, Source
from datamodules.schema import BatchT


@dataclass(frozen=True)
class Share(Generic[BatchT]):
    """Part of a batch that one worker decoded.

    batch    None if it owns no image of it; packed when it comes from another process
    skipped  images it had to replace
    fault    the sentence of a DataError that ended its work
    """

    batch: BatchT | PackedBatch[BatchT] | None
    skipped: int
    fault: str | None = None

    def unpacked(self) -> BatchT | None:
        """The decoded images."""
        return self.batch.unpack() if isinstance(self.batch, PackedBatch) else self.batch


class ShardStream(IterableDataset[Share[BatchT]]):
    """Yields one `Share` a batch.

    Worker w of W owns the rank's images number q with q mod W = w, where q = position // world:
    whole lanes when world x W divides their number.
    """

    def __init__(self, source: Source[Any, BatchT], order: Order, plan: Plan) -> None:
        self.plan = plan
        self._order = order
        self._collate = source.decoding.collate
        self._reader = ShardReader(source)
        # Shared, so that workers that outlive a pass begin the next one at the right position.
        self._start = torch.zeros(1, dtype=torch.int64).share_memory_()

    def seek(self, position: int) -> None:
        """Set the position where the next pass begins."""
        self._start[0] = position

    def close(self) -> None:
        """Close the shards this process has open; the next pass opens what it needs."""
        self._reader.close()

    def __iter__(self) -> Iterator[Share[BatchT]]:
        """Decode this worker's share of each batch of a pass; a fault is the last share."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        start = int(self._start[0])
        for number in range(self.plan.batches):
            try:
                share = self._share(start, number, worker, workers)
            except DataError as error:
                # A DataLoader would wrap the exception in a traceback and lose the sentence.
                yield Share(None, 0, str(error))
                return
            yield share

    def _share(self, start: int, number: int, worker: int, workers: int) -> Share[BatchT]:
        positions = self.plan.positions(start, number)
        own = positions[(positions // self.plan.world) % workers == worker]
        if own.size == 0:
            return Share(None, 0)
        read = [self._reader.read(place) for place in self._order.locate(own)]
        batch = self._collate([sample for sample, _ in read])
        skipped = sum(skip for _, skip in read)
        return Share(batch if get_worker_info() is None else pack(batch), skipped)
