"""Write shards in this process or in several, and count the images on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from datamodules.build.writer import Rejected, ShardSample, write_shard

MakeSamples = Callable[[str, int], Iterable[ShardSample | Rejected]]
_POLL_SECONDS = 0.2
_written: Synchronized[int]  # in a worker: the images that all workers have written


@dataclass(frozen=True)
class Job:
    """One shard to write: its split, its index and how many samples are planned for it."""

    split: str
    index: int
    samples: int


def write_shards(
    root: Path,
    jobs: Sequence[Job],
    make_samples: MakeSamples,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    """Write the shards of all jobs; `advance` is told how many more images are done.

    Raises whatever `write_shard` raises for the first shard that fails; the shards that are being
    written then are finished, the others are not begun.
    """
    if workers <= 1:
        for job in jobs:
            samples = _counted(make_samples(job.split, job.index), advance)
            write_shard(root, job.split, job.index, samples)
        return
    # Spawned, not forked: the parent may hold OpenMP or decoder threads that do not survive.
    context = multiprocessing.get_context("spawn")
    written = context.Value("q", 0)
    processes = min(workers, max(1, len(jobs)))
    with ProcessPoolExecutor(processes, context, _enter_worker, (written,)) as pool:
        pending = {pool.submit(_write_job, root, job, make_samples) for job in jobs}
        shown = 0
        try:
            while pending:
                done, pending = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
                total = written.value
                advance(total - shown)
                shown = total
                for future in done:
                    future.result()
        except Exception:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        except BaseException:  # Ctrl-C does not wait for the shards
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _enter_worker(written: Synchronized[int]) -> None:
    global _written
    _written = written
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, the parent acts
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is killed: a pool's workers would write on and then hang."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_job(root: Path, job: Job, make_samples: MakeSamples) -> None:
    samples = _counted(make_samples(job.split, job.index), _count_written)
    write_shard(root, job.split, job.index, samples)


def _count_written(images: int) -> None:
    with _written.get_lock():
        _written.value += images


def _counted(
    samples: Iterable[ShardSample | Rejected], advance: Callable[[int], None]
) -> Iterator[ShardSample | Rejected]:
    for sample in samples:
        yield sample
        advance(1)
