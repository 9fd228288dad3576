"""`python -m benchmarks.published`: take every preset of a published size through a few steps.

Each is trained by `wild3d fit` in a process of its own, on two images in the real formats,
interrupted, continued with the same command, and checked: losses finite, the loss of images seen
again and again lower, no image lost or repeated by the interruption. What is measured is kept in
docs/results/ and laid out in docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from itertools import chain, islice, repeat
from pathlib import Path
from signal import SIGTERM
from typing import Any

import yaml

from benchmarks.published_data import Networks, make_images, make_networks
from benchmarks.published_page import page_with
from benchmarks.published_presets import (
    PRESETS,
    Preset,
    checkpoint_of,
    fit_words,
    steps_of,
    token_words,
    tokens_of,
)
from benchmarks.published_steps import Launch, ends_of, faults, median_seconds, read_launches
from benchmarks.results import code_revision
from datamodules.errors import DataError
from datamodules.files import write_atomically, write_json
from datamodules.json_values import as_object, parse_json
from lightning_modules.cli.faults import exit_code

STORE = Path("docs/results/published.json")
PAGE = Path("docs/scaling.md")
INTERRUPTED = 128 + SIGTERM


def chosen(only: Sequence[str] | None, work: Path) -> list[Preset]:
    """Presets by name, all without any, after those whose checkpoints they need and lack."""
    names = {preset.name for preset in PRESETS} if only is None else set(only)
    names |= {
        preset.stage1
        for preset in PRESETS
        if preset.name in names
        and preset.stage1
        and not checkpoint_of(preset.stage1, work).exists()
    }
    return [preset for preset in PRESETS if preset.name in names]


def measured(preset: Preset, work: Path, networks: Networks) -> dict[str, Any]:
    """Train a preset, interrupt and continue it; returns what is kept of it.

    Raises:
        DataError: a command ended otherwise than it should, or something is wrong with the steps.
    """
    run, steps, log = work / preset.name, steps_of(preset, work), work / f"{preset.name}.log"
    for old in (run, steps, log, tokens_of(preset, work)):
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    make_images(preset.images, work)
    if preset.stage1:
        command(token_words(preset, work), log, 0)
    words, peaks, precisions = fit_words(preset, work, networks), [], []
    for code in (INTERRUPTED, 0):
        peaks.append(command(words, log, code))
        settings = yaml.safe_load((run / "config.yaml").read_text())
        precisions.append(settings["trainer"]["precision"])
    launches = read_launches(steps)
    wanted = keys_in_order(settings["data"], preset.length // preset.batch)
    if found := faults(launches, wanted, preset.interrupted_at, preset.loss):
        raise DataError("; ".join(found))
    versions = as_object(parse_json((run / "versions.json").read_bytes()), "versions")
    return summary(preset, launches) | {
        "peak_bytes": max(peaks),
        "precision": " then ".join(dict.fromkeys(precisions)),
        "machine": versions["machine"],
        "git": code_revision(),
    }


def command(words: Sequence[str], log: Path, wanted: int) -> int:
    """Run `wild3d` in a process of its own, its output added to a file; returns the resident bytes
    it had at most.

    Raises:
        DataError: it ended with another code than wanted.
    """
    with log.open("a") as output:
        print("wild3d", *words, file=output, flush=True)
        program = [sys.executable, "-m", "lightning_modules.cli", *words]
        process = subprocess.Popen(program, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != wanted:
        ended = f"wild3d {words[0]} ended with code {process.returncode}, not {wanted}"
        raise DataError(f"{ended} (see {log.name})")
    return 1024 * usage.ru_maxrss


def keys_in_order(data: dict[str, Any], batches: int) -> list[tuple[str, ...]]:
    """Keys of the first batches that a run without interruption trains on.

    data: class and arguments of its data.
    """
    module, _, name = data["class_path"].rpartition(".")
    of_run = getattr(import_module(module), name)(**data["init_args"] | {"num_workers": 0})
    of_run.setup()
    passes = chain.from_iterable(repeat(of_run.train_dataloader()))
    return [tuple(batch.keys) for batch in islice(passes, batches)]


def summary(preset: Preset, launches: Sequence[Launch]) -> dict[str, Any]:
    """What the steps of a preset tell."""
    first, last = ends_of(launches, preset.loss)
    return {
        "configs": list(preset.configs),
        "parameters": list(launches[0].parameters),
        "batch": preset.batch,
        "steps": [len(launch.steps) for launch in launches],
        "seconds_a_step": round(median_seconds(launches), 3),
        "training_peak_bytes": [launch.steps[-1].peak for launch in launches],
        "loss": preset.loss,
        "first": first,
        "last": last,
    }


def spare(name: str, work: Path) -> None:
    """Remove the checkpoints of a run but the one that another preset goes on with."""
    needed = {preset.stage1 for preset in PRESETS}
    for path in (work / name / "checkpoints").glob("*"):
        if name not in needed or path != checkpoint_of(name, work):
            path.unlink()


def keep(name: str, entry: dict[str, Any]) -> None:
    """Put what is known of a preset in place of what was known before, and lay out the page."""
    kept = dict(as_object(parse_json(STORE.read_bytes()), str(STORE))) if STORE.exists() else {}
    kept[name] = entry
    names = [preset.name for preset in PRESETS]
    write_json(STORE, {known: kept[known] for known in names if known in kept})
    write_atomically(PAGE, page_with(PAGE.read_text(), kept, names))


def main() -> None:
    """Measure the chosen presets; one that fails leaves the others alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[preset.name for preset in PRESETS])
    parser.add_argument("--work", type=Path, default=Path("runs/published"), help="data and runs")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    networks, failed = make_networks(given.work), []
    for preset in chosen(given.only, given.work):
        print(f"{preset.name}: ", end="", flush=True)
        try:
            entry, told = measured(preset, given.work, networks), "passed"
        except DataError as error:
            entry, told = {"failed": str(error).removesuffix(".")}, f"failed: {error}"
        except Exception as error:  # a fault of ours; the others are measured all the same
            entry, told = {"failed": type(error).__name__}, f"failed\n{traceback.format_exc()}"
        failed += [preset.name] if "failed" in entry else []
        spare(preset.name, given.work)
        keep(preset.name, entry)
        print(told, flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.published"))
