"""`python -m benchmarks.waymo`: rate and memory of the Waymo converter, in one process.

Converts a folder of parquet files twice, the first time to warm up and to watch memory, into a
folder that goes away again. Files of their schema come from `tests/datamodules/build/waymo_files.py
--out FOLDER`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.build.waymo.schema import KINDS, Kind
from datamodules.build.waymo.verb import shards_waymo
from datamodules.errors import DataError

WATCHED_EVERY = 0.05
"""Seconds between two looks at the memory."""


@dataclass
class Memory:
    """Resident bytes of this process while it is watched."""

    seen: list[int] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until it is done, once at least."""
        pages, done = Path("/proc/self/statm"), False
        while not done:
            done = self._done.wait(WATCHED_EVERY)
            self.seen.append(int(pages.read_text().split()[1]) * resource.getpagesize())

    def done(self) -> None:
        """Look no more."""
        self._done.set()


def converted(source: str, kinds: tuple[Kind, ...], resolution: int) -> int:
    """Convert once; returns the number of crops."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/shards"
        manifest = shards_waymo(source, out, kinds, resolution, min_visible=0.0, workers=1)
        return sum(manifest.samples(split) for split in manifest.splits)


def measured(source: str, kinds: tuple[Kind, ...], resolution: int) -> str:
    """Crops per second, and resident memory over the first half and at most, in a line."""
    memory = Memory()
    watcher = threading.Thread(target=memory.watch, daemon=True)
    watcher.start()
    converted(source, kinds, resolution)
    memory.done()
    watcher.join()
    wall, busy = time.perf_counter(), time.process_time()
    crops = converted(source, kinds, resolution)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    half = memory.seen[: len(memory.seen) // 2 + 1]
    return (
        f"{crops} crops at {resolution}: {crops / wall:.0f} a second, {crops / busy:.0f} a "
        f"second of processor time; resident {max(half) / 1e6:.0f} MB over the first half, "
        f"{max(memory.seen) / 1e6:.0f} MB at most"
    )


def main() -> None:
    """Print the figures of a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waymo", description=__doc__)
    parser.add_argument("--source", required=True, help="folder of the parquet files")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["vehicle"])
    parser.add_argument("--resolution", type=int, default=256, help="side of the stored squares")
    given = parser.parse_args()
    try:
        print(measured(given.source, tuple(given.kinds), given.resolution))
    except DataError as error:  # without the command's own way, whose imports take memory
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
