"""A sized loader that starts anywhere and knows where it is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from datamodules.ahead import Ahead
from datamodules.collate import interleave
from datamodules.errors import DataError
from datamodules.schema import BatchT
from datamodules.stream import ShardStream, Share
from datamodules.transfer import Mover, Moving

_GRACE_IMAGES = 1000
_PATIENCE = 5.0  # seconds, as torch waits for a worker that is to end


@dataclass(frozen=True)
class _Merged(Generic[BatchT]):
    """A batch of all workers, perhaps on its way to a GPU; how many of its images were replaced."""

    batch: BatchT | Moving[BatchT]
    skipped: int

    def received(self) -> BatchT:
        """The batch where it is used."""
        return self.batch.received() if isinstance(self.batch, Moving) else self.batch


class ShardLoader(Generic[BatchT]):
    """Batches of one rank, merged from its workers in an order that no setting of theirs changes.

    ``len(loader)`` batches are yielded by each ``iter(loader)``, which goes on where the last one
    ended or was left. It is sized because Lightning fetches ahead of an unsized loader, which then
    resumes one batch late.

    num_workers        processes; 0 decodes in this one
    prefetch           batches each worker decodes ahead
    mover              merges and moves batches to a GPU in a thread, one ahead; without one they
                       stay in this process's memory
    max_skipped_share  of the images seen, of which the first 1000 count as 1000
    on_skip            told how many images of a batch were replaced, if any were
    """

    def __init__(
        self,
        stream: ShardStream[BatchT],
        num_workers: int = 0,
        position: int = 0,
        prefetch: int = 2,
        mover: Mover | None = None,
        max_skipped_share: float = 0.0,
        on_skip: Callable[[int], None] | None = None,
    ) -> None:
        self._stream = stream
        self._position = position
        self._num_workers = num_workers
        self._prefetch = prefetch
        self._mover = mover
        self._max_skipped_share = max_skipped_share
        self._on_skip = on_skip
        self._seen = 0
        self._skipped = 0
        self._processes: DataLoader[Share[BatchT]] | None = None
        self._shares: Iterator[Share[BatchT]] | None = None
        self._ahead: Ahead[_Merged[BatchT]] | None = None

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
        batches = self._batches()
        try:
            for merged in batches:
                batch = merged.received()
                self._count(len(batch), merged.skipped)
                self._position += self._stream.plan.stride
                yield batch
        except DataError:
            self.close()
            raise
        finally:
            if isinstance(batches, Ahead):
                batches.close(patience=0)

    def _batches(self) -> Iterator[_Merged[BatchT]]:
        """Begin a pass."""
        if self._ahead is not None:  # of a pass that was left, whose shares must not be mixed in
            self._ahead.close()
        merged = self._merge(self._start(self._position), self._position)
        if self._mover is None:
            return merged
        self._ahead = Ahead(merged)
        return self._ahead

    def _start(self, position: int) -> Iterator[Share[BatchT]]:
        """Begin a pass: the shares of the first worker, of the second, and so on, in rotation."""
        self._stream.seek(position)
        if self._num_workers == 0:
            return iter(self._stream)
        if self._processes is None:
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
        self._shares = iter(self._processes)
        return self._shares

    def close(self) -> None:
        """End the worker processes and close the shards; the next pass starts new ones."""
        self._iterator = None
        self._stream.close()

    @property
    def _iterator(self) -> None:
        """Nothing. Lightning sets an attribute of this name to None when a run ends, which ends
        thread and workers here; left to the garbage collector each is waited for for five
        seconds."""
        return None

    @_iterator.setter
    def _iterator(self, nothing: None) -> None:
        if self._ahead is not None:
            self._ahead.close(_PATIENCE)
        if isinstance(self._shares, _MultiProcessingDataLoaderIter):
            self._shares._shutdown_workers()
        self._ahead = self._shares = self._processes = None

    def _merge(self, shares: Iterator[Share[BatchT]], start: int) -> Iterator[_Merged[BatchT]]:
        """The batches of a pass that begins at a position, in a thread where there is a mover."""
        for number in range(len(self)):
            parts = [next(shares) for _ in range(max(1, self._num_workers))]
            for part in parts:
                if part.fault is not None:
                    raise DataError(part.fault)
            first = int(self._stream.plan.positions(start, number)[0]) // self._stream.plan.world
            merge = interleave if self._mover is None else self._mover.start
            batch = merge([part.unpacked() for part in parts], first)
            yield _Merged(batch, sum(part.skipped for part in parts))

    def _count(self, images: int, skipped: int) -> None:
        self._seen += images
        self._skipped += skipped
        if skipped and self._on_skip is not None:
            self._on_skip(skipped)
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
