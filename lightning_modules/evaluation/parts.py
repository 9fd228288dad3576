"""Parts of an evaluation: measured in one process or in many, kept until all are there, so that an
interrupted one goes on where it was."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.build.driver import progress_bar
from datamodules.errors import DataError
from datamodules.files import load_arrays, remove_partials, replacing, telling_full_disk
from lightning_modules.evaluation.measures import Measures
from lightning_modules.inference.processes import Place

BATCHES = 8
"""Batches of scenes in a part."""


@dataclass(frozen=True)
class Part:
    """Scenes of a repeat of the evaluation of a checkpoint: those in `rows`."""

    checkpoint: int
    repeat: int
    rows: range

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.checkpoint}-{self.repeat}-{self.rows.start}.npz"


@dataclass(frozen=True)
class Parts:
    """The parts of an evaluation in a folder beside its results.

    counts: scenes of each repeat of each checkpoint; batch_size: scenes measured at once, the same
    ones whoever measures them.
    """

    folder: Path
    counts: tuple[tuple[int, ...], ...]
    batch_size: int

    @staticmethod
    def beside(
        out: Path, made: Mapping[str, Any], counts: tuple[tuple[int, ...], ...], batch_size: int
    ) -> "Parts":
        """Those of results in `out`, in a folder of their own for everything they depend on.

        made: all that but the counts, as JSON has it.
        """
        text = json.dumps([made, counts, batch_size], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        return Parts(out.with_name(f"{out.stem}.parts-{key}"), counts, batch_size)

    @property
    def all(self) -> list[Part]:
        """Every part, in order."""
        step = self.batch_size * BATCHES
        return [
            Part(checkpoint, repeat, range(start, min(start + step, count)))
            for checkpoint, of_repeats in enumerate(self.counts)
            for repeat, count in enumerate(of_repeats)
            for start in range(0, count, step)
        ]

    def measure(self, place: Place, measure: Callable[[Part, range], Measures]) -> bool:
        """Measure this process's parts that are missing, with a progress bar; whether all parts of
        all processes are there now.

        measure: (part, rows of a batch) -> what was measured.
        """
        with telling_full_disk(self.folder.parent):
            mine = self.all[place.rank :: place.world]
            if mine:  # a process without any may come after the others have removed the folder
                self.folder.mkdir(parents=True, exist_ok=True)
            for part in mine:  # what a process that was killed left half written
                remove_partials(self.folder, part.file)
            missing = [part for part in mine if not (self.folder / part.file).exists()]
            total = sum(len(part.rows) for part in mine)
            done = total - sum(len(part.rows) for part in missing)
            with progress_bar(done, total) as advance:
                for part in missing:
                    self._write(part, measure, advance)
        return all((self.folder / part.file).exists() for part in self.all)

    def read(self, checkpoint: int, repeat: int) -> Measures:
        """What was measured of the scenes of a repeat."""
        parts = [p for p in self.all if (p.checkpoint, p.repeat) == (checkpoint, repeat)]
        return Measures.cat([self._read(self.folder / part.file) for part in parts])

    def remove(self) -> None:
        """Remove all parts, which are in the results now."""
        shutil.rmtree(self.folder)

    def _write(
        self,
        part: Part,
        measure: Callable[[Part, range], Measures],
        advance: Callable[[int], None],
    ) -> None:
        batches = []
        for start in range(part.rows.start, part.rows.stop, self.batch_size):
            rows = range(start, min(start + self.batch_size, part.rows.stop))
            batches.append(measure(part, rows))
            advance(len(rows))
        path = self.folder / part.file
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **Measures.cat(batches).arrays())

    @staticmethod
    def _read(path: Path) -> Measures:
        try:
            return Measures.of_arrays(load_arrays(path, "--out"))
        except KeyError as error:
            raise DataError(f"{path} holds something else: remove {path.parent}.") from error
