"""Results of an evaluation as files: JSON, a Markdown table, TensorBoard, and a sheet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files import write_atomically, write_json
from lightning_modules.evaluation.comparison import Figure
from lightning_modules.evaluation.subjects import Seen, Subjects
from lightning_modules.inference.provenance import Provenance
from lightning_modules.pictures.drawing import colored_disparity, sheet, write_png
from lightning_modules.pictures.stage1_pictures import SHEET_YAWS, reconstruction_sheet, turned

SHEET_ROWS = 8
"""Scenes on a sheet."""


@dataclass(frozen=True)
class Result:
    """What was found of a checkpoint.

    name: of its run; figures: by label; left_out: scenes that means leave out, by figure;
    protocol: of its scenes; images_seen: in its training, None if it does not say.
    """

    name: str
    figures: Mapping[str, Figure]
    left_out: Mapping[str, str]
    protocol: Mapping[str, Any]
    provenance: Provenance
    images_seen: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "images_seen": self.images_seen,
            "figures": {label: figure.as_json() for label, figure in self.figures.items()},
            "left_out": dict(self.left_out),
            "protocol": dict(self.protocol),
            "provenance": self.provenance.of_results(),
        }


def check_places(out: Path, tensorboard: str | None) -> None:
    """DataError if a file of results would be overwritten by the table or the sheet beside it, or
    the folder of scalars is a file."""
    if tensorboard is not None and Path(tensorboard).is_file():
        raise DataError(f"--tensorboard is {tensorboard}, which is a file: name a folder.")
    if out.suffix in (".md", ".png"):
        raise DataError(
            f"--out is {out}, which the table or the sheet beside it would overwrite: name it "
            f"{out.with_suffix('.json')}."
        )


def write_results(
    out: Path, results: Sequence[Result], protocol: Mapping[str, Any], table: str
) -> None:
    """Write `out`, and a Markdown table beside it.

    protocol: what is alike for all checkpoints.
    """
    found = [result.as_json() for result in results]
    write_json(out, {"results": found, "protocol": dict(protocol)})
    write_atomically(out.with_suffix(".md"), table)


def write_tensorboard(folder: str, results: Sequence[Result]) -> None:
    """Write figures as scalars over the images seen in training, a run a checkpoint."""
    from torch.utils.tensorboard import SummaryWriter

    for result in results:
        with SummaryWriter(str(Path(folder, result.name))) as writer:
            for label, figure in result.figures.items():
                writer.add_scalar(f"evaluation/{label}", figure.mean, result.images_seen or 0)


def run_names(checkpoints: Sequence[str]) -> list[str]:
    """Names of checkpoints, fit for files: of the runs they lie in; with their own where these are
    alike, and a number where all is.

    >>> run_names(["runs/a/checkpoints/best.ckpt", "b.ckpt"])
    ['a', 'b']
    >>> run_names(["a/checkpoints/best.ckpt", "a/checkpoints/last.ckpt", "x/b.ckpt", "y/b.ckpt"])
    ['a-best', 'a-last', 'b-1', 'b-2']
    """
    names, stems = list[str](), [Path(path).stem for path in checkpoints]
    for path, stem in zip(map(Path, checkpoints), stems, strict=True):
        in_run = path.parent.name == "checkpoints"
        names.append(path.resolve().parents[1].name if in_run else stem)
    longer = [
        f"{name}-{stem}" if names.count(name) > 1 and stem != name else name
        for name, stem in zip(names, stems, strict=True)
    ]
    return [
        f"{name}-{longer[: at + 1].count(name)}" if longer.count(name) > 1 else name
        for at, name in enumerate(longer)
    ]


def write_sheet(path: Path, subjects: Subjects, note: str) -> None:
    """Write a picture of the first scenes, a row each: of reconstructions the photograph before
    them; how they are measured, disparity, and novel views."""
    write_png(
        path, scene_sheet(subjects, subjects.seen(range(min(SHEET_ROWS, len(subjects))))), note
    )


@torch.no_grad()
def scene_sheet(subjects: Subjects, seen: Seen) -> Tensor:
    """The sheet (3, H', W') of some scenes."""
    scenes, view, side = seen.scenes, subjects.canonical, seen.image.shape[-1]
    if seen.photographs is not None:
        return reconstruction_sheet(scenes, seen.view, view, seen.photographs).cpu()
    novel = [turned(scenes, view, yaw, 0.0, side) for yaw in SHEET_YAWS]
    return sheet([seen.view.rgb, colored_disparity(seen.view), *novel]).cpu()
