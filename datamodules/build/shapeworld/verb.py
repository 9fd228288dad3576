"""The command that writes the embedded data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from datamodules.build.driver import build_shards
from datamodules.build.shapeworld.recipes import CLASSES
from datamodules.build.shapeworld.samples import ShapeworldSamples
from datamodules.errors import DataError
from datamodules.manifest import MANIFEST_NAME, Manifest, Parameter
from datamodules.modalities import TRAIN, VAL
from datamodules.ranges import Count, Fraction, Range, Seed, ShardSize, Workers

# Raised whenever the same seed gives other images than before, so that two are never mixed.
_SCENES_VERSION = 2


def shapeworld(
    root: str,
    images: Count = 4000,
    val_fraction: Fraction = 0.1,
    resolution: Annotated[int, Range(8, 1024)] = 64,
    half_hidden: Fraction = 0.0,
    seed: Seed = 0,
    samples_per_shard: ShardSize = 500,
    workers: Workers = 2,
) -> Manifest:
    """Write the embedded synthetic data set: objects of twelve classes with depth, masks, cameras.

    The same settings give the same bytes with any number of workers. A finished folder is left as
    it is; an interrupted build continues.

    Args:
        root: folder to write the shards to.
        images: number of images, train and val together.
        val_fraction: share of the images held out for validation, in [0, 1).
        resolution: side of the images in pixels; the scenes do not depend on it.
        half_hidden: share of the images with a wall or a hedge before about half of the object; the
            scenes are the same otherwise.
        seed: number that decides all scenes.
        samples_per_shard: most images in one shard.
        workers: processes that render.
    """
    _check(images, val_fraction, resolution, seed, samples_per_shard)
    held_out = round(images * val_fraction)
    sizes = {TRAIN: images - held_out, VAL: held_out}
    counts = {s: even_parts(n, samples_per_shard) for s, n in sizes.items() if n}
    parameters: dict[str, Parameter] = {
        "tool": "shapeworld",
        "version": _SCENES_VERSION,
        "images": images,
        "val_fraction": val_fraction,
        "resolution": resolution,
        "half_hidden": half_hidden,
        "seed": seed,
        "samples_per_shard": samples_per_shard,
    }
    complete = (Path(root) / MANIFEST_NAME).exists()
    samples = ShapeworldSamples(seed, resolution, counts, half_hidden)
    manifest = build_shards(root, counts, samples, workers, CLASSES, resolution, parameters)
    _tell(root, manifest, complete)
    return manifest


def _tell(root: str, manifest: Manifest, complete: bool) -> None:
    state = "already complete, nothing to do" if complete else "written"
    images = ", ".join(f"{manifest.samples(split)} {split}" for split in manifest.splits)
    print(f"{root}: {state} ({images} images of {manifest.resolution} px)")


def even_parts(total: int, limit: int) -> tuple[int, ...]:
    """Split a number into the fewest parts of at most `limit`, sizes differing by 1 at most."""
    parts = -(-total // limit)
    return tuple(total * (k + 1) // parts - total * k // parts for k in range(parts))


def _check(
    images: int, val_fraction: float, resolution: int, seed: int, samples_per_shard: int
) -> None:
    limits: Sequence[tuple[str, float, bool, str]] = (
        ("--images", images, images >= 1, "at least 1"),
        ("--val_fraction", val_fraction, 0.0 <= val_fraction < 1.0, "at least 0 and below 1"),
        ("--resolution", resolution, 8 <= resolution <= 1024, "8 to 1024"),
        ("--seed", seed, seed >= 0, "at least 0"),
        ("--samples_per_shard", samples_per_shard, samples_per_shard >= 1, "at least 1"),
    )
    for name, value, fine, limit in limits:
        if not fine:
            raise DataError(f"{name} is {value}, it must be {limit}.")
