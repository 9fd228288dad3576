"""Build a whole shard root with several processes, and continue one that was interrupted."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules.build.writer import (
    PROGRESS_FOLDER,
    EncodedSample,
    Rejected,
    ShardRecord,
    read_record,
    record_path,
    telling_full_disk,
    write_shard,
)
from datamodules.errors import DataError
from datamodules.manifest import MANIFEST_NAME, Manifest, Parameter, write_atomically
from datamodules.modalities import MODALITIES

MakeSamples = Callable[[str, int], Iterable[EncodedSample | Rejected]]
REJECTED_NAME = "rejected.csv"


@dataclass(frozen=True)
class _Job:
    split: str
    index: int
    samples: int


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
    parameters    settings that decide the content; continuing with others is refused

    Raises DataError when the folder holds other shards, when no image was accepted, and whatever
    `write_shard` raises.
    """
    root = Path(root)
    plan = json.dumps(
        {"splits": {k: list(v) for k, v in splits.items()}, "parameters": dict(parameters)},
        sort_keys=True,
    )
    finished = _finished_manifest(root, parameters)
    if finished is not None:
        return finished
    with telling_full_disk(root):
        _begin(root, plan)
    jobs = [_Job(s, i, n) for s, counts in splits.items() for i, n in enumerate(counts)]
    todo = [job for job in jobs if not record_path(root, job.split, job.index).exists()]
    _run(root, todo, make_samples, workers, already=sum(j.samples for j in jobs if j not in todo))
    with telling_full_disk(root):
        return _finish(root, jobs, classes, resolution, parameters)


def _finished_manifest(root: Path, parameters: Mapping[str, Parameter]) -> Manifest | None:
    path = root / MANIFEST_NAME
    if not path.exists():
        return None
    manifest = Manifest.from_json(path.read_text(), str(path))
    if dict(manifest.parameters) != dict(parameters):
        changed = _changed(manifest.parameters, parameters)
        raise DataError(
            f"{root} already holds shards written with other settings ({changed}): "
            "choose another output folder."
        )
    return manifest


def _begin(root: Path, plan: str) -> None:
    """Leave the plan of this build in the folder, or check that it is the one found there."""
    progress = root / PROGRESS_FOLDER
    progress.mkdir(parents=True, exist_ok=True)
    path = progress / "plan.json"
    if not path.exists():
        write_atomically(path, plan)
    elif path.read_text() != plan:
        old, new = json.loads(path.read_text()), json.loads(plan)
        changed = _changed(old["parameters"], new["parameters"]) or "other samples"
        raise DataError(
            f"{root} holds an unfinished build with other settings ({changed}): use the same "
            "settings to continue it, or choose another output folder."
        )


def _changed(old: Mapping[str, Parameter], new: Mapping[str, Parameter]) -> str:
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {old.get(name)!r}, now {new.get(name)!r}" for name in names)


def _run(
    root: Path, jobs: Sequence[_Job], make_samples: MakeSamples, workers: int, already: int
) -> None:
    with _progress_bar(already, already + sum(job.samples for job in jobs)) as advance:
        if workers <= 1:
            for job in jobs:
                write_shard(root, job.split, job.index, make_samples(job.split, job.index))
                advance(job.samples)
            return
        # Spawned, not forked: the parent may hold OpenMP or decoder threads that do not survive.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, max(1, len(jobs))), mp_context=context) as pool:
            futures = {pool.submit(_write_job, root, job, make_samples): job for job in jobs}
            try:
                for future in as_completed(futures):
                    future.result()
                    advance(futures[future].samples)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def _write_job(root: Path, job: _Job, make_samples: MakeSamples) -> None:
    write_shard(root, job.split, job.index, make_samples(job.split, job.index))


@contextmanager
def _progress_bar(done: int, total: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("shards"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("images", total=total, completed=done)
        yield lambda samples: progress.advance(task, samples)


def _finish(
    root: Path,
    jobs: Sequence[_Job],
    classes: Sequence[str],
    resolution: int | None,
    parameters: Mapping[str, Parameter],
) -> Manifest:
    found = [read_record(record_path(root, job.split, job.index)) for job in jobs]
    records = [record for record in found if record is not None]
    _write_rejected(root, records)
    kept = [record for record in records if record.shard.samples]
    if not kept:
        rejected = sum(len(record.rejected) for record in records)
        raise DataError(
            f"no image could be written to {root}: all {rejected} were rejected, "
            f"see {REJECTED_NAME} there."
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
    shutil.rmtree(root / PROGRESS_FOLDER)
    return checked


def _write_rejected(root: Path, records: Sequence[ShardRecord]) -> None:
    rows = [(r.source, r.reason) for record in records for r in record.rejected]
    if not rows:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("source", "reason"))
    writer.writerows(rows)
    write_atomically(root / REJECTED_NAME, text.getvalue())
