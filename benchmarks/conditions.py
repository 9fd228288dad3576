"""`python -m benchmarks.conditions`: are conditions of a prior recovered from its samples?

Samples are asked for by class, by size, by time of day, by any two and by all at once, with values
that occur together in the training images. What is asked is compared with what is measured of the
rendered samples: size with their extents along the axes of the box, as seen from afar (rank
correlation); time of day with the mean luminance of the object in one view of each; class with
what a classifier trained on real objects on white calls that view. Samples are seen from the
canonical camera, or, where real images show objects from all sides (`--turn 180`), each from
another side. Everything is measured of all samples: figures in parentheses are of what the prior
was not told, and say how much of it follows from the rest.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from benchmarks.condition_samples import (
    CLASS,
    KINDS,
    SIZE,
    TIME,
    WHITE,
    draw_asked,
    measure_real,
    measure_samples,
    taken_by,
)
from datamodules.augment import Framing
from datamodules.errors import DataError, check_number
from datamodules.files import write_json
from datamodules.modalities import TRAIN, VAL
from lightning_modules.cli.faults import exit_code
from lightning_modules.evaluation.classifier_network import load_classifier
from lightning_modules.evaluation.condition_figures import (
    Asked,
    Brightness,
    Figures,
    Found,
    class_figures,
    size_figures,
    time_figures,
)
from lightning_modules.evaluation.label_plan import check_classes
from lightning_modules.evaluation.real_images import RealImages
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions
from models.classifier import SmallClassifier

REAL = "real images"

Column = dict[str, Figures]
"""Figures by the kind of condition they are of."""


def table(columns: dict[str, Column]) -> str:
    """A Markdown table: a row a figure, a column a set of conditions; figures of what is not among
    them in parentheses."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    every = [(kind, name) for kind in KINDS for name in next(iter(columns.values())).get(kind, {})]
    for kind, name in every:
        cells = []
        for title, column in columns.items():
            value = column[kind][name]
            cell = "" if math.isnan(value) else f"{value:.3f}"
            known = title == REAL or kind in title.split(" + ")
            cells.append(cell if known or not cell else f"({cell})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Setting:
    """What is asked for: labels and sizes of the training images in `root`, for `samples` samples
    of each set of conditions, drawn by a seed; real images are those for validation in
    `photographs`. turn: of the samples' cameras, in degrees."""

    root: str
    photographs: str
    samples: int
    seed: int
    turn: float


def images_of(
    drawer: PriorScenes, setting: Setting, classifier: SmallClassifier
) -> tuple[RealImages, RealImages]:
    """Training images and photographs on white.

    Raises:
        DataError: the prior takes no condition that can be measured, or the data lack masks, or
            have other classes than the prior or the classifier.
    """
    if not taken_by(drawer.generator.prior.kinds):
        raise DataError(f"{drawer.checkpoint} takes neither class nor size nor time of day.")
    training, held_out = (
        RealImages.open(root, split, drawer.resolution, framing=Framing(background=WHITE))
        for root, split in ((setting.root, TRAIN), (setting.photographs, VAL))
    )
    names = training.manifest.classes
    check_classes(drawer.checkpoint, drawer.classes, len(names))
    if names != held_out.manifest.classes or len(names) != classifier.classes:
        raise DataError(
            f"{setting.root} has {len(names)} classes, the classifier tells {classifier.classes} "
            f"and {setting.photographs} has {len(held_out.manifest.classes)}: they must be the "
            "same, see --classifier and --photographs."
        )
    return training, held_out


def column_of(
    asked: Asked,
    found: Found,
    names: Sequence[str],
    bright: Brightness | None,
    taken: Sequence[str],
) -> Column:
    """Figures of the kinds of conditions that a prior takes; names: of the classes."""
    column: Column = {}
    if CLASS in taken:
        column[CLASS] = class_figures(asked, found, names)
    if SIZE in taken:
        column[SIZE] = size_figures(asked, found)
    if bright is not None:
        column[TIME] = time_figures(asked, found, bright)
    return column


def recovered(
    drawer: PriorScenes, setting: Setting, classifier: SmallClassifier
) -> tuple[dict[str, Column], dict[str, int]]:
    """Figures of real images and of samples of each set of conditions, by its name; and how many
    of the samples show nothing.

    Raises:
        DataError: see `images_of`; or no image has what is to be asked.
    """
    training, held_out = images_of(drawer, setting, classifier)
    kinds, names = drawer.generator.prior.kinds, training.manifest.classes
    taken = taken_by(kinds)
    said, seen = measure_real(held_out, classifier)
    bright = Brightness.of(said.time, seen.luminance) if TIME in taken else None
    columns, empty = {REAL: column_of(said, seen, names, bright, taken)}, dict[str, int]()
    asked = draw_asked(training, setting.samples, kinds, setting.seed)
    for number in range(1, len(taken) + 1):
        for some in combinations(taken, number):
            found = measure_samples(drawer, asked, some, classifier, math.radians(setting.turn))
            title = " + ".join(some)
            columns[title] = column_of(asked, found, names, bright, taken)
            empty[title] = int(found.luminance.isnan().sum())
    return columns, empty


def main() -> None:
    """Print a table of a prior."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conditions", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="of a prior")
    parser.add_argument("--classifier", required=True, help="checkpoint, of objects on white")
    parser.add_argument("--root", default="data/shapeworld-hidden", help="of the prior's images")
    parser.add_argument("--photographs", help="root of real images, by default the same")
    parser.add_argument("--samples", type=int, default=240, help="of each set of conditions")
    parser.add_argument("--guidance", type=float, help="by default that of the checkpoint")
    parser.add_argument("--steps", type=int, help="likewise")
    parser.add_argument("--seed", type=int, default=0, help="of what is asked for")
    parser.add_argument(
        "--turn", type=float, default=0.0, help="degrees to both sides that samples are seen from"
    )
    parser.add_argument("--stage1", help="where the stage-1 checkpoint is now, if it was moved")
    parser.add_argument("--out", type=Path, help="JSON file")
    given = parser.parse_args()
    options = SamplingOptions(guidance=given.guidance, steps=given.steps)
    check_number("--samples", given.samples, 1, 1_000_000)
    check_number("--turn", given.turn, 0, 180)
    drawer = open_maker(given.checkpoint, given.stage1, options)
    if not isinstance(drawer, PriorScenes):
        raise DataError(f"{given.checkpoint} is no prior: name one in --checkpoint.")
    loaded = load_classifier(given.classifier)
    photographs = given.photographs or given.root
    setting = Setting(given.root, photographs, given.samples, given.seed, given.turn)
    columns, empty = recovered(drawer, setting, loaded.model)
    print(table(columns))
    for title, count in empty.items():
        print(f"{title}: {count} of {given.samples} samples show nothing")
    if given.out is not None:
        protocol = asdict(setting) | {
            "sampling": options.given,
            "classifier": loaded.name,
            "empty": empty,
        }
        provenance = made_now(given.checkpoint).of_results()
        figures = {title: without_gaps(column) for title, column in columns.items()}
        write_json(given.out, {"figures": figures, "protocol": protocol, "provenance": provenance})


def without_gaps(column: Column) -> dict[str, dict[str, float | None]]:
    """Figures as JSON has them, null for NaN."""
    return {
        kind: {name: None if math.isnan(value) else value for name, value in figures.items()}
        for kind, figures in column.items()
    }


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.conditions"))
