"""Tiny shard roots whose pixels tell which image they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tiny_samples import SIDE, tiny_sample

from datamodules.augment import Augmentation
from datamodules.build.driver import build_shards
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.loader import ShardLoader
from datamodules.manifest import Manifest
from datamodules.order import LaneOrder
from datamodules.plan import TrainPlan
from datamodules.reader import Decoding, Source
from datamodules.remote import read_manifest
from datamodules.stream import ShardStream
from datamodules.transfer import Mover

SIZES = (5, 3, 7, 1, 6)
IMAGES = sum(SIZES)


def number_of(split: str, shard: int, row: int) -> int:
    return (100 if split == "val" else 0) + 10 * shard + row


def tiny_root(
    root: Path, train: Sequence[int] = SIZES, val: Sequence[int] = (4, 3), sidecars: bool = True
) -> Manifest:
    splits = {"train": train, "val": val}

    def samples(split: str, shard: int):
        for row in range(splits[split][shard]):
            yield tiny_sample(number_of(split, shard, row), sidecars)

    return build_shards(root, splits, samples, 1, ["a", "b", "c", "d"], SIDE, {"tool": "test"})


def train_loader(
    root: Path,
    batch_size: int = 3,
    rank: int = 0,
    world: int = 1,
    num_workers: int = 0,
    position: int = 0,
    lanes: int = 4,
    seed: int = 0,
    on_error: str = "error",
    max_skipped_share: float = 0.0,
    modalities: tuple[str, ...] = ("rgb",),
    flip: bool = False,
    mover: Mover | None = None,
) -> ShardLoader:
    return ShardLoader(
        train_stream(
            root,
            batch_size,
            rank,
            world,
            lanes,
            seed,
            on_error=on_error,
            modalities=modalities,
            flip=flip,
        ),
        num_workers,
        position,
        mover=mover,
        max_skipped_share=max_skipped_share,
    )


def train_stream(
    root: Path,
    batch_size: int = 3,
    rank: int = 0,
    world: int = 1,
    lanes: int = 4,
    seed: int = 0,
    on_error: str = "error",
    modalities: tuple[str, ...] = ("rgb",),
    flip: bool = False,
) -> ShardStream:
    manifest = read_manifest(str(root))
    shards = manifest.splits["train"]
    samples = [shard.samples for shard in shards]
    view = Augmentation(SIDE, flip=flip)
    decoder = ImageDecoder(view, camera="rays" in modalities, classes=len(manifest.classes))
    decoding = Decoding(modalities, decoder, collate)
    source = Source(str(root), "train", shards, decoding, seed, on_error, lanes)
    plan = TrainPlan(sum(samples), batch_size, rank, world)
    return ShardStream(source, LaneOrder(samples, seed, lanes), plan)


def reference_keys(images: int, lanes: int = 4, seed: int = 0) -> list[str]:
    """Keys of the first images of the global order of a `tiny_root`, from the order alone."""
    order = LaneOrder(SIZES, seed, lanes)
    places = order.locate(np.arange(images))
    return [f"k{number_of('train', place.shard, place.row):03d}" for place in places]
