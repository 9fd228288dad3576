"""The ``wild3d shards-waymo`` command: object assets of the Waymo Open Dataset to a shard root."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from rich.console import Console

from datamodules.build.driver import REJECTED_NAME, build_shards
from datamodules.build.prepare import ImageFormat
from datamodules.build.waymo.codec import RayCodec, read_codec
from datamodules.build.waymo.encoder import CropEncoder
from datamodules.build.waymo.plan import find_all, fingerprint, plan_shards, split_segments
from datamodules.build.waymo.samples import WaymoSamples
from datamodules.build.waymo.schema import CODEC_CONFIG, KINDS, RAY_COMPRESSED, Kind
from datamodules.build.waymo.segments import Filters, Segment
from datamodules.build.waymo.tables import arrow
from datamodules.errors import DataError
from datamodules.manifest import MANIFEST_NAME, Manifest, Parameter
from datamodules.modalities import VAL
from datamodules.places import check_outside
from datamodules.ranges import Fraction, Range, Seed, ShardSize, Workers

# Raised whenever the same settings give other samples than before, so that two are never mixed.
_SAMPLES_VERSION = 2


def shards_waymo(
    source: str,
    out: str,
    kinds: tuple[Kind, ...] = KINDS,
    resolution: Annotated[int, Range(8, 1024)] = 256,
    min_points: Annotated[int, Range(0, 2**31 - 1)] = 10,
    min_side: Annotated[int, Range(1, 8192)] = 32,
    min_visible: Fraction = 0.3,
    refined: bool = False,
    ray_tolerance: Annotated[float, Range(1e-6, 1.0)] = 1e-4,
    val_fraction: Fraction | None = None,
    samples_per_shard: ShardSize = 1000,
    image_format: ImageFormat = "jpg",
    quality: Annotated[int, Range(1, 100)] = 95,
    seed: Seed = 0,
    workers: Workers = 2,
) -> Manifest:
    """Write shards from the object assets of the Waymo Open Dataset, version 2.0.0.

    Each crop gets its mask, its LiDAR depth, the rays of its pixels in the frame of its box, and
    its attributes. The same command again continues after an interruption. Crops that are beyond
    the limits, or cannot be read, are listed in rejected.csv with the reason.

    Args:
        source: folder of the folders of components, or of training/ and validation/ with these.
        out: folder to write; it gets manifest.json, train/ and val/.
        kinds: vehicle, pedestrian, or both.
        resolution: side of the stored squares in pixels.
        min_points: fewest LiDAR points on the object.
        min_side: fewest pixels of the shorter side of the crop.
        min_visible: smallest share of the object's pixels among those of the object and occluders.
        refined: take the refined box, which vehicles have, as the frame of the rays.
        ray_tolerance: metres by which stored rays may be off at the object, beside what their
            compression had them off.
        val_fraction: share of the segments for validation, chosen by a hash of their names; by
            default the folders training and validation decide where both are there, else 0.1.
        samples_per_shard: most crops in one tar, unless a row group has more.
        image_format: of the images.
        quality: of JPEGs, 1 to 100.
        seed: decides the order of the segments.
        workers: processes.
    """
    arrow()
    classes = _classes(kinds, refined)
    if val_fraction is not None and not 0 <= val_fraction < 1:
        raise DataError(f"--val_fraction is {val_fraction}, it must be at least 0 and below 1.")
    found = find_all(source, classes)
    check_outside(out, (source,))
    splits = split_segments(found, val_fraction, seed)
    filters = Filters(min_points, min_side, min_visible, refined)
    encoder = CropEncoder(resolution, filters, ray_tolerance, image_format, quality)
    parameters: dict[str, Parameter] = {
        "tool": "wild3d shards-waymo",
        "version": _SAMPLES_VERSION,
        "files": fingerprint(splits),
        "kinds": " ".join(classes),
        "resolution": resolution,
        "min_points": min_points,
        "min_side": min_side,
        "min_visible": min_visible,
        "refined": refined,
        "ray_tolerance": ray_tolerance,
        "val_fraction": val_fraction,
        "samples_per_shard": samples_per_shard,
        "image_format": image_format,
        "quality": quality,
        "seed": seed,
    }
    complete = Path(out, MANIFEST_NAME).exists()
    # Planning opens every file, for nothing if all is done.
    plan, counts = plan_shards({} if complete else splits, filters, samples_per_shard)
    samples = WaymoSamples(plan, encoder, _codecs(splits), classes)
    manifest = build_shards(out, counts, samples, workers, classes, resolution, parameters)
    if complete:
        print(f"{out}: already complete, nothing to do")
    _report(manifest, Path(out))
    return manifest


def _classes(kinds: Sequence[Kind], refined: bool) -> tuple[Kind, ...]:
    """The kinds in the order of their labels."""
    if not kinds:
        raise DataError(f"--kinds is empty, name one or more of {', '.join(KINDS)}.")
    if refined and "pedestrian" in kinds:
        raise DataError("--refined needs poses, which vehicles alone have: add --kinds vehicle.")
    return tuple(kind for kind in KINDS if kind in kinds)


def _codecs(splits: Mapping[str, Sequence[Segment]]) -> dict[tuple[Path, Kind], RayCodec]:
    """Codecs of all folders of compressed rays."""
    places = {(s.root, s.kind) for segments in splits.values() for s in segments}
    folders = {place: RAY_COMPRESSED.path(*place) for place in sorted(places)}
    return {
        place: read_codec(folder / CODEC_CONFIG)
        for place, folder in folders.items()
        if folder.is_dir()
    }


def _report(manifest: Manifest, out: Path) -> None:
    # Names may have brackets and colons, and stay whole where lines are long.
    console = Console(markup=False, emoji=False, soft_wrap=True)
    for split, entries in manifest.splits.items():
        size = sum(file.bytes for shard in entries for file in shard.files.values())
        console.print(
            f"{split}: {manifest.samples(split)} crops in {len(entries)} shards, "
            f"{size / 1e6:.1f} MB"
        )
    if VAL not in manifest.splits:
        console.print(f"{VAL}: no crop is left for validation")
    reasons = count_reasons(out / REJECTED_NAME)
    if reasons:
        console.print(f"{reasons.total()} crops rejected, see {out / REJECTED_NAME}:")
    for reason, crops in reasons.most_common():
        console.print(f"  {crops} {reason}")


def count_reasons(path: Path) -> Counter[str]:
    """How many sources rejected.csv lists by reason, without what is in brackets at the end."""
    if not path.exists():
        return Counter()
    with path.open(newline="") as file:
        return Counter(row["reason"].partition(" (")[0] for row in csv.DictReader(file))
