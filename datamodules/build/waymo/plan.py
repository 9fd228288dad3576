"""Plan of the shards: which segments are for training, which row groups share a shard."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from datamodules.build.keys import key_hash
from datamodules.build.waymo.samples import Part, Plan
from datamodules.build.waymo.schema import CAMERA_SENSOR, CODEC_CONFIG, RAY_COMPRESSED, Kind
from datamodules.build.waymo.segments import Filters, Segment, find_segments, join_segment
from datamodules.errors import DataError
from datamodules.modalities import TRAIN, VAL

SPLIT_FOLDERS = {"training": TRAIN, "validation": VAL}
DEFAULT_VAL_FRACTION = 0.1


def find_all(source: str, kinds: Sequence[Kind]) -> dict[str, list[Segment]]:
    """Segments by folder: `training` and `validation` where `source` has these, else ``""``.

    Raises DataError if there is no such folder, or a component is missing.
    """
    root = Path(source)
    if not source or "\0" in source or not root.is_dir():
        raise DataError(f"--source {source or repr('')} is no folder.")
    folders = [name for name in SPLIT_FOLDERS if (root / name).is_dir()]
    if not folders:
        return {"": find_segments(root, kinds)}
    return {name: find_segments(root / name, kinds) for name in folders}


def split_segments(
    found: dict[str, list[Segment]], val_fraction: float | None, seed: int
) -> dict[str, list[Segment]]:
    """Deal whole segments into train and val, each in an order shuffled by `seed`.

    The folders `training` and `validation` decide if both are there and `val_fraction` is None,
    else a hash of the segments' names; then with two segments or more each split has one.
    """
    if len(found) == len(SPLIT_FOLDERS) and val_fraction is None:
        dealt = {SPLIT_FOLDERS[folder]: segments for folder, segments in found.items()}
    else:
        fraction = DEFAULT_VAL_FRACTION if val_fraction is None else val_fraction
        together = [segment for segments in found.values() for segment in segments]
        names = sorted({segment.name for segment in together}, key=lambda n: key_hash("split", n))
        held_out = sum(key_hash("split", name) < fraction * 2**64 for name in names)
        if fraction > 0:
            held_out = min(max(held_out, 1), len(names) - 1)
        val = set(names[:held_out])
        dealt = {
            TRAIN: [segment for segment in together if segment.name not in val],
            VAL: [segment for segment in together if segment.name in val],
        }
    return {
        split: sorted(segments, key=lambda s: key_hash(f"{seed}/{s.kind}", s.name))
        for split, segments in dealt.items()
        if segments
    }


def plan_shards(
    splits: dict[str, list[Segment]], filters: Filters, samples_per_shard: int
) -> tuple[Plan, dict[str, list[int]]]:
    """Parts of each shard, and how many crops these have, rejected ones included.

    A row group is never cut, so that it is read once; shards have `samples_per_shard` crops to
    convert at most unless a single row group has more.
    """
    plan: dict[str, list[list[Part]]] = {split: [] for split in splits}
    counts: dict[str, list[int]] = {split: [] for split in splits}
    usable = 0
    todo = [(split, segment) for split, segments in splits.items() for segment in segments]
    for split, segment in track(todo, "segments", transient=True):
        shards, sizes = plan[split], counts[split]
        for group, (crops, kept) in enumerate(_group_sizes(segment, filters)):
            if not shards or (usable and usable + kept > samples_per_shard):
                shards.append([])
                sizes.append(0)
                usable = 0
            _add(shards[-1], segment, group)
            sizes[-1] += crops
            usable += kept
    return plan, counts


def _add(parts: list[Part], segment: Segment, group: int) -> None:
    """Add a row group to a shard, to the part before it if that ends there."""
    if parts and parts[-1].segment == segment:
        parts[-1] = Part(segment, parts[-1].first, group + 1)
    else:
        parts.append(Part(segment, group, group + 1))


def _group_sizes(segment: Segment, filters: Filters) -> list[tuple[int, int]]:
    """Crops in each row group of the camera's file, and how many have no fault that can be told
    without pixels."""
    join = join_segment(segment, filters)
    table = join.tables[CAMERA_SENSOR.tag]
    groups = table.groups_of(join.rows[CAMERA_SENSOR.tag])
    kept = np.bincount(groups[join.faults == ""], minlength=len(table.group_rows))
    return list(zip(table.group_rows.tolist(), kept.tolist(), strict=True))


def fingerprint(splits: dict[str, list[Segment]]) -> str:
    """Changes when a file is added, removed or of another size; not when the folder is moved."""
    digest = hashlib.blake2b(digest_size=8)
    count = total = 0
    for split, segments in splits.items():
        for segment in segments:
            config = RAY_COMPRESSED.path(segment.root, segment.kind) / CODEC_CONFIG
            for path in (*segment.files(), *((config,) if config.exists() else ())):
                size = path.stat().st_size
                digest.update(f"\n{split} {path.parent.name}/{path.name} {size}".encode())
                count += 1
                total += size
    return f"{count} files, {total} bytes, {digest.hexdigest()}"
