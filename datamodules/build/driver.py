"""Build a whole shard root with several processes, and continue one that was interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules.build.notes import changed_parameters, write_reasons
from datamodules.build.workers import Job, MakeSamples, write_shards
from datamodules.build.writer import (
    PROGRESS_FOLDER,
    ShardRecord,
    read_record,
    record_path,
)
from datamodules.errors import DataError
from datamodules.files import remove_partials, telling_full_disk, write_atomically
from datamodules.json_values import as_object, parse_json
from datamodules.lock import building_alone
from datamodules.manifest import MANIFEST_NAME, Manifest, Parameter, check_splits
from datamodules.modalities import MODALITIES

REJECTED_NAME = "rejected.csv"


def build_shards(
    root: str | Path,
    splits: Mapping[str, Sequence[int]],
    make_samples: MakeSamples,
    workers: int,
    classes: Sequence[str],
    resolution: int | None,
    parameters: Mapping[str, Parameter],
) -> Manifest:
    """Write every shard of `splits` and then the manifest; a finished shard is never rebuilt.

    splits        samples of each shard, e.g. ``{"train": [1000, 1000, 624], "val": [200]}``
    make_samples  (split, shard index) -> the samples of that shard, in order; a pure function of
                  its arguments, picklable when workers > 1, so any number of workers gives the
                  same bytes
    parameters    settings and inputs that decide the content; continuing with others is refused

    A second process that builds into the same folder waits for the first and finds its shards.

    Raises DataError when a manifest cannot hold the splits, when the folder holds other shards or
    damaged notes of them, when no image was accepted, and whatever `write_shard` raises.
    """
    check_splits(splits)
    root = Path(root)
    finished = _finished_manifest(root, parameters)
    # The folder stays if a process is killed after it wrote the manifest.
    if finished is not None and not (root / PROGRESS_FOLDER).exists():
        return finished
    with telling_full_disk(root):
        root.mkdir(parents=True, exist_ok=True)
        with building_alone(root):
            # Again: the process that held the lock may have finished the build.
            finished = _finished_manifest(root, parameters)
            if finished is None:
                _begin(root, splits, parameters)
                jobs = [Job(s, i, n) for s, counts in splits.items() for i, n in enumerate(counts)]
                _write_missing(root, jobs, make_samples, workers)
                finished = _finish(root, jobs, classes, resolution, parameters)
            shutil.rmtree(root / PROGRESS_FOLDER, ignore_errors=True)
            return finished


def _finished_manifest(root: Path, parameters: Mapping[str, Parameter]) -> Manifest | None:
    path = root / MANIFEST_NAME
    if not path.exists():
        return None
    manifest = Manifest.from_json(path.read_text(errors="replace"), str(path))
    if dict(manifest.parameters) != dict(parameters):
        changed = changed_parameters(manifest.parameters, parameters)
        raise DataError(
            f"{root} already holds shards written with other settings or files ({changed}): "
            "choose another output folder."
        )
    return manifest


def _begin(
    root: Path, splits: Mapping[str, Sequence[int]], parameters: Mapping[str, Parameter]
) -> None:
    """Leave the plan of this build in the folder, or check that it is the one found there."""
    sizes = {split: list(counts) for split, counts in splits.items()}
    plan = json.dumps({"splits": sizes, "parameters": dict(parameters)}, sort_keys=True)
    progress = root / PROGRESS_FOLDER
    progress.mkdir(exist_ok=True)
    path = progress / "plan.json"
    if not path.exists():
        write_atomically(path, plan)
    elif (found := path.read_text(errors="replace")) != plan:
        changed = changed_parameters(_planned(found, path), parameters)
        raise DataError(
            f"{root} holds an unfinished build with other settings or files "
            f"({changed or 'other samples'}): use the same ones to continue it, or choose another "
            "output folder."
        )
    for folder in (root, progress, *(root / split for split in splits)):
        remove_partials(folder)


def _planned(plan: str, path: Path) -> Mapping[str, Any]:
    """Parameters of the plan found at a path."""
    try:
        return as_object(as_object(parse_json(plan), "it")["parameters"], "parameters")
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path} is damaged, so that the unfinished build cannot be continued: remove its "
            "folder, or choose another output folder."
        ) from error


def _write_missing(
    root: Path, jobs: Sequence[Job], make_samples: MakeSamples, workers: int
) -> None:
    todo = [job for job in jobs if not record_path(root, job.split, job.index).exists()]
    total = sum(job.samples for job in jobs)
    with progress_bar(total - sum(job.samples for job in todo), total) as advance:
        write_shards(root, todo, make_samples, workers, advance)


@contextmanager
def progress_bar(done: int, total: int) -> Iterator[Callable[[int], None]]:
    """A bar of images, which goes on when the function it gives is told how many more are done."""
    columns = (TextColumn("images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("images", total=total, completed=done)
        yield lambda images: progress.advance(task, images)


def _finish(
    root: Path,
    jobs: Sequence[Job],
    classes: Sequence[str],
    resolution: int | None,
    parameters: Mapping[str, Parameter],
) -> Manifest:
    records = [_record(root, job) for job in jobs]
    write_reasons(root / REJECTED_NAME, [each for record in records for each in record.rejected])
    kept = [record for record in records if record.shard.samples]
    if not kept:
        # Records of nothing but rejected sources would outlive the correction of those.
        shutil.rmtree(root / PROGRESS_FOLDER)
        for split in {record.split for record in records}:
            with suppress(OSError):  # something else is in it
                (root / split).rmdir()
        rejected = [each for record in records for each in record.rejected]
        what = f"all {len(rejected)} were" if len(rejected) > 1 else "the only one was"
        raise DataError(
            f"no image could be written to {root}: {what} rejected, "
            f"see {REJECTED_NAME} there ({rejected[0].source}: {rejected[0].reason})."
        )
    present = {modality for record in kept for modality in record.shard.files}
    splits = {
        split: tuple(record.shard for record in kept if record.split == split)
        for split in dict.fromkeys(record.split for record in kept)
    }
    modalities = tuple(modality for modality in MODALITIES if modality in present)
    manifest = Manifest(splits, tuple(classes), modalities, resolution, dict(parameters))
    text = manifest.to_json()
    checked = Manifest.from_json(text, str(root / MANIFEST_NAME))
    write_atomically(root / MANIFEST_NAME, text)
    return checked


def _record(root: Path, job: Job) -> ShardRecord:
    path = record_path(root, job.split, job.index)
    record = read_record(path)
    if record is None:
        raise DataError(
            f"{path} vanished before all shards were written: leave {root} alone while it is built "
            "and run the same command again."
        )
    return record
