"""Steps of a training as they are noted, and what must hold of them."""

from __future__ import annotations

import json
import math
import resource
import signal
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer

from lightning_modules.training.base import TrainingModule

ENDS = 2
"""Steps at either end of a run whose mean losses are compared: every image is in them once or more
often, whether a step has one or all of the two."""


@dataclass(frozen=True)
class Step:
    """A training step: images seen after it, keys of its batch, its seconds with the wait for the
    batch, resident bytes of the process at most so far, and every curve's value."""

    images: int
    keys: tuple[str, ...]
    seconds: float
    peak: int
    figures: dict[str, float]


@dataclass(frozen=True)
class Launch:
    """What one process trained: images seen before, parameters of each optimiser, steps."""

    begun_at: int
    parameters: tuple[int, ...]
    steps: tuple[Step, ...]


class StepLog(Callback):
    """Notes every step in a file, a line each, and has the run interrupted once, as a cluster does.

    Args:
        path: of the file; a line without a step begins each launch.
        interrupt_at: images seen when the process gets a SIGTERM.
    """

    def __init__(self, path: str, interrupt_at: int) -> None:
        self.path, self.interrupt_at = Path(path), interrupt_at
        self.since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        parameters = [_parameters(optimizer) for optimizer in pl_module.optimizer_list()]
        self._write({"begun_at": pl_module.images_seen, "parameters": parameters})
        self.since = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        figures = {name: float(value) for name, value in outputs.items()}
        now, seen = time.monotonic(), pl_module.images_seen
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._write(asdict(Step(seen, tuple(batch.keys), now - self.since, peak, figures)))
        self.since = time.monotonic()
        if seen == self.interrupt_at:
            signal.raise_signal(signal.SIGTERM)

    def _write(self, entry: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def _parameters(optimizer: LightningOptimizer) -> int:
    return sum(p.numel() for group in optimizer.param_groups for p in group["params"])


def read_launches(path: Path) -> list[Launch]:
    """The launches that a `StepLog` has noted."""
    found: list[tuple[dict[str, Any], list[Step]]] = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if "begun_at" in entry:
            found.append((entry, []))
        else:
            found[-1][1].append(Step(**entry | {"keys": tuple(entry["keys"])}))
    return [
        Launch(begun["begun_at"], tuple(begun["parameters"]), tuple(steps))
        for begun, steps in found
    ]


def median_seconds(launches: Sequence[Launch]) -> float:
    """Seconds of a step, without the first of each launch."""
    return statistics.median(step.seconds for launch in launches for step in launch.steps[1:])


def ends_of(launches: Sequence[Launch], loss: str) -> tuple[float, float]:
    """Means of a loss over the first steps and over the last."""
    values = [step.figures[loss] for launch in launches for step in launch.steps]
    return statistics.mean(values[:ENDS]), statistics.mean(values[-ENDS:])


def faults(
    launches: Sequence[Launch], wanted: Sequence[tuple[str, ...]], interrupted_at: int, loss: str
) -> list[str]:
    """What is wrong with a run that was interrupted once and continued, in words.

    Args:
        wanted: keys of every batch of a run that is never interrupted.
        interrupted_at: images seen when it was.
        loss: curve that must fall from the first steps to the last.
    """
    begun = [launch.begun_at for launch in launches]
    found = []
    if begun != [0, interrupted_at]:
        found.append(f"launches began at {begun} images, not at {[0, interrupted_at]}")
    steps = [step for launch in launches for step in launch.steps]
    if [step.keys for step in steps] != list(wanted):
        found.append("its images are not those of an uninterrupted run")
    odd = {name for step in steps for name, x in step.figures.items() if not math.isfinite(x)}
    found += [f"{name} is not finite in a step" for name in sorted(odd)]
    if not steps or any(loss not in step.figures for step in steps):
        return [*found, f"there is no {loss} of every step"]
    first, last = ends_of(launches, loss)
    if not last < first:
        found.append(f"{loss} is {first:.4g} in the first steps and {last:.4g} in the last")
    return found
