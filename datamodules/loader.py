"""A sized loader that starts anywhere and knows where it is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic

import torch
from torch.utils.data import DataLoader

from datamodules.collate import interleave
from datamodules.errors import DataError
from datamodules.schema import BatchT
from datamodules.stream import ShardStream, Share

_GRACE_IMAGES = 1000


class ShardLoader(Generic[BatchT]):
    """Batches of one rank, merged from its workers in an order that no setting of theirs changes.

    ``len(loader)`` batches are yielded by each ``iter(loader)``, which goes on where the last one
    ended or was left. It is sized because Lightning fetches ahead of an unsized loader, which then
    resumes one batch late.

    num_workers        processes; 0 decodes in this one
    prefetch           batches each worker decodes ahead
    max_skipped_share  of the images seen, of which the first 1000 count as 1000
    on_skip            told how many images of a batch were replaced, if any were
    """

    def __init__(
        self,
        stream: ShardStream[BatchT],
        num_workers: int = 0,
        position: int = 0,
        prefetch: int = 2,
        pin_memory: bool = False,
        max_skipped_share: float = 0.0,
        on_skip: Callable[[int], None] | None = None,
    ) -> None:
        self._stream = stream
        self._position = position
        self._num_workers = num_workers
        self._prefetch = prefetch
        self._pin_memory = pin_memory
        self._max_skipped_share = max_skipped_share
        self._on_skip = on_skip
        self._seen = 0
        self._skipped = 0
        self._processes: DataLoader[Share[BatchT]] | None = None
        # Lightning ends the workers behind an attribute of this name when a run ends, and sets it
        # to None; left to the garbage collector each of them is waited for for five seconds.
        self._iterator: Iterator[Share[BatchT]] | None = None

    @property
    def position(self) -> int:
        """Images the run has seen, over all ranks, before the next batch this loader yields."""
        return self._position

    @property
    def skipped(self) -> int:
        """Images of this rank that were replaced because they were unusable."""
        return self._skipped

    def __len__(self) -> int:
        """Batches of a pass."""
        return self._stream.plan.batches

    def __iter__(self) -> Iterator[BatchT]:
        """Yield the batches of a pass.

        Raises DataError for an unusable image, or when too many of them were skipped.
        """
        start = self._position
        shares = self._start(start)
        for number in range(len(self)):
            first = int(self._stream.plan.positions(start, number)[0])
            try:
                batch = self._merge([next(shares) for _ in range(max(1, self._num_workers))], first)
            except DataError:
                del shares
                self.close()
                raise
            self._position += self._stream.plan.stride
            yield batch

    def _start(self, position: int) -> Iterator[Share[BatchT]]:
        """Begin a pass: the shares of the first worker, of the second, and so on, in rotation."""
        self._stream.seek(position)
        if self._num_workers == 0:
            return iter(self._stream)
        if self._processes is None or self._iterator is None:
            self._processes = DataLoader(
                self._stream,
                batch_size=None,
                num_workers=self._num_workers,
                collate_fn=_as_it_is,
                prefetch_factor=self._prefetch,
                persistent_workers=True,
                # Its own, so that starting a pass draws no number from the global generator.
                generator=torch.Generator(),
                worker_init_fn=_leave_signals,
            )
        self._iterator = iter(self._processes)
        return self._iterator

    def close(self) -> None:
        """End the worker processes and close the shards; the next pass starts new ones."""
        self._stream.close()
        self._iterator = None
        self._processes = None

    def _merge(self, shares: list[Share[BatchT]], first: int) -> BatchT:
        for share in shares:
            if share.fault is not None:
                raise DataError(share.fault)
        batch = interleave([share.unpacked() for share in shares], first // self._stream.plan.world)
        self._seen += len(batch)
        self._count_skipped(sum(share.skipped for share in shares))
        return batch.pin_memory() if self._pin_memory else batch

    def _count_skipped(self, images: int) -> None:
        self._skipped += images
        if images and self._on_skip is not None:
            self._on_skip(images)
        if self._skipped > self._max_skipped_share * max(self._seen, _GRACE_IMAGES):
            raise DataError(
                f"{self._skipped} of {self._seen} images were unusable, more than "
                f"max_skipped_share {self._max_skipped_share:g}: see the warnings above."
            )


def _as_it_is(share: Any) -> Any:
    return share


def _leave_signals(worker: int) -> None:
    """Have a worker outlive what a terminal or a cluster sends to all processes of a command: the
    training saves first, and then ends its workers."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_end_when_parent_asks, daemon=True).start()


def _end_when_parent_asks() -> None:
    """End this process at a SIGTERM of the one that started it; those of others are for that."""
    parent = multiprocessing.parent_process()
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != (parent.pid if parent else os.getppid()):
        pass
    os._exit(0)
