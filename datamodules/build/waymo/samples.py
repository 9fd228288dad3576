"""Samples of the shards of a plan, one segment after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.build.waymo.codec import RayCodec
from datamodules.build.waymo.encoder import CropEncoder
from datamodules.build.waymo.records import Records
from datamodules.build.waymo.schema import AUTO_LABEL, CAMERA_SENSOR, RAY, RAY_COMPRESSED, Kind
from datamodules.build.waymo.segments import Join, Segment, join_segment
from datamodules.build.waymo.tables import RowError
from datamodules.build.writer import EncodedSample, Rejected


@dataclass(frozen=True)
class Part:
    """Crops of a shard: row groups `first` to `end` - 1 of the camera's file of a segment."""

    segment: Segment
    first: int
    end: int


Plan = Mapping[str, Sequence[Sequence[Part]]]
"""The parts of each shard of each split."""


@dataclass(frozen=True)
class WaymoSamples:
    """Callable (split, shard index) -> the samples of that shard; picklable and pure.

    codecs  of the folders of compressed rays, by root and kind
    """

    plan: Plan
    encoder: CropEncoder
    codecs: Mapping[tuple[Path, Kind], RayCodec]
    classes: tuple[Kind, ...]

    def __call__(self, split: str, shard: int) -> Iterator[EncodedSample | Rejected]:
        """The samples of a shard; a crop that cannot be one comes as `Rejected`."""
        for part in self.plan[split][shard]:
            yield from self._part(part)

    def _part(self, part: Part) -> Iterator[EncodedSample | Rejected]:
        kind = part.segment.kind
        codec = self.codecs.get((part.segment.root, kind))
        join = join_segment(part.segment, self.encoder.filters)
        records = Records(kind, self.classes, join)
        for crop in _in_reading_order(join, part):
            source = f"{kind} {join.keys[crop]}"
            if fault := join.faults[crop]:
                yield Rejected(source, fault)
                continue
            try:
                yield self.encoder.sample(join, records, codec, crop)
            except RowError as fault:
                yield Rejected(source, str(fault))


def _in_reading_order(join: Join, part: Part) -> list[int]:
    """Crops of a part, those together whose rows elsewhere are in the same row group, so that
    each of these is read once."""
    groups = {tag: table.groups_of(join.rows[tag]) for tag, table in join.tables.items()}
    camera = groups[CAMERA_SENSOR.tag]
    crops = np.nonzero((camera >= part.first) & (camera < part.end))[0]
    others = [groups[c.tag] for c in (AUTO_LABEL, RAY_COMPRESSED, RAY) if c.tag in groups]
    order = np.lexsort((crops, *(other[crops] for other in others), camera[crops]))
    return [int(crop) for crop in crops[order]]
