"""`python -m benchmarks.studies`: the open questions of GINA-3D, as sweeps on the embedded data.

Trains stage 1 a row and a seed, measures every run on the same validation images, and prints a
Markdown table of means and deviations. A run that is finished is only measured again, one that was
interrupted goes on; several processes may share the rows (`--part 0/2` takes every second run).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.altered_shards import Alteration, altered_shards
from benchmarks.reconstructions import reconstruction_figures
from datamodules.errors import DataError
from datamodules.files import write_json
from datamodules.json_values import parse_json
from lightning_modules.cli.faults import exit_code

CONFIG = "configs/gina3d/stage1_shapeworld.yaml"
ROOT = "data/shapeworld-hidden"
RARE = "rocket"
SEEDS = (0, 1, 2)
NOT_HIDDEN_FURTHER = ("--model.further_hidden", "0")


@dataclass(frozen=True)
class Row:
    """A row of a study: its name, what is altered of the training images, and settings laid over
    the configuration, as they are typed."""

    name: str
    alteration: Alteration | None = None
    options: tuple[str, ...] = ()


def _codes(count: int) -> tuple[str, ...]:
    return ("--model.autoencoder.codebook.codes", str(count))


STUDIES: dict[str, tuple[Row, ...]] = {
    "codes": tuple(Row(f"K = {k}", options=_codes(k)) for k in (64, 256, 1024, 2048)),
    "masks": (
        Row("as they are"),
        Row("eroded by 2 pixels", Alteration(grow=-2)),
        Row("dilated by 2 pixels", Alteration(grow=2)),
        Row("noise in 10 % of the images", Alteration(noise=0.1)),
        Row("noise in 30 % of the images", Alteration(noise=0.3)),
    ),
    "few": (
        *(
            Row(f"{images} images of it{' alone' * alone}", Alteration(0, 0.0, RARE, images, alone))
            for images in (8, 32, 128)
            for alone in (False, True)
        ),
        Row("no image of it", Alteration(rare=RARE)),
        Row("all images of it"),
    ),
    "losses": (
        Row("occlusion-aware"),
        Row("plain", options=(*NOT_HIDDEN_FURTHER, "--model.occluders", "object")),
        Row("occlusion-aware, not hidden further", options=NOT_HIDDEN_FURTHER),
    ),
}


def train(row: Row, number: int, study: str, seed: int, given: argparse.Namespace) -> Path:
    """Train a row with a seed, or continue; returns the folder of the run. Rows that alter nothing
    are one run for all studies."""
    root, name = given.root, f"{study}-{number}"
    if row == Row(row.name):
        name = "unaltered"
    if row.alteration is not None:
        root = f"{given.out}/data-{name}"
        altered_shards(given.root, root, row.alteration)
    run = Path(given.out, f"{name}-seed{seed}")
    if not (run / "result.json").is_file():
        seeds = ("--model.seed", "--data.seed", "--seed_everything")
        words = [word for name in seeds for word in (name, str(seed))]
        words += ["--data.root", root, "--run", str(run), *row.options, *given.args]
        command = [sys.executable, "-m", "lightning_modules.cli", "fit", "--config", CONFIG, *words]
        subprocess.run(command, check=True)
    return run


def check_settings(given: argparse.Namespace) -> None:
    """Note what all runs of a folder share; DataError where they were begun with other things."""
    note, wanted = Path(given.out, "settings.json"), {"root": given.root, "args": given.args}
    if not note.is_file():
        write_json(note, wanted)
    elif (found := parse_json(note.read_bytes())) != wanted:
        raise DataError(f"{note} says {found}, now it is {wanted}: take another --out.")


def measured(run: Path, root: str, rare: bool) -> dict[str, float]:
    """Figures of a finished run, kept beside its result."""
    kept = run / ("study-rare.json" if rare else "study.json")
    if not kept.is_file():
        checkpoint = str(run / "checkpoints" / "best.ckpt")
        write_json(kept, reconstruction_figures(checkpoint, root, RARE if rare else None))
    found = parse_json(kept.read_bytes())
    if not isinstance(found, dict):
        raise DataError(f"{kept} holds no figures: remove it.")
    return {str(name): float(value) for name, value in found.items()}


def table(study: str, found: dict[str, list[dict[str, float]]]) -> str:
    """A Markdown table of rows, mean and deviation over the seeds of each."""
    names = list(next(iter(found.values()))[0])
    lines = [f"| {study} | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for row, figures in found.items():
        cells = []
        for name in names:
            values = torch.tensor([one[name] for one in figures])
            spread = values.std().item() if len(values) > 1 else 0.0
            cells.append(f"{values.mean():.3g} ± {spread:.2g}")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _part(given: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/([1-9]\d*)", given)
    if found is None or int(found[1]) >= int(found[2]):
        raise DataError(f"--part is {given!r}: give k/n with k from 0 to n - 1, e.g. 0/2.")
    return int(found[1]), int(found[2])


def main() -> None:
    """Run a study."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--root", default=ROOT, help="embedded data with half-hidden objects")
    parser.add_argument("--out", default="runs/studies", help="folder of runs and altered data")
    parser.add_argument(
        "--part", default="0/1", help="k/n: train only every n-th run from the k-th"
    )
    parser.add_argument("args", nargs="*", help="settings for all runs, after --")
    given = parser.parse_intermixed_args()
    part, parts = _part(given.part)
    check_settings(given)
    rows = STUDIES[given.study]
    jobs = [(seed, number) for seed in SEEDS for number in range(len(rows))]
    for seed, number in jobs[part::parts]:
        train(rows[number], number, given.study, seed, given)
    if parts > 1:
        return
    found = {}
    for number, row in enumerate(rows):
        runs = [train(row, number, given.study, seed, given) for seed in SEEDS]
        found[row.name] = [measured(run, given.root, given.study == "few") for run in runs]
    print(table(given.study, found))


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.studies"))
