"""Samples for worker processes, which start quickly because nothing here imports torch."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from waiting import HANGS, wait_for

from datamodules.build.encode import encode_camera, encode_depth, encode_mask, encode_png
from datamodules.build.writer import EncodedSample, Rejected

SIDE = 4
PLAN = {"train": [3, 3, 2], "val": [2]}


def tiny_sample(number: int, sidecars: bool) -> EncodedSample:
    """Image, depth and mask of one value that tells the number; camera at x = number."""
    pose = np.eye(4)
    pose[0, 3] = number
    return EncodedSample(
        key=f"k{number:03d}",
        image_bytes=encode_png(np.full((SIDE, SIDE, 3), number, np.uint8)),
        image_ext="png",
        json_record={"label": number % 4, "class": "abcd"[number % 4]},
        depth_png=encode_depth(np.full((SIDE, SIDE), 100 + number, np.uint16))
        if sidecars
        else None,
        mask_png=encode_mask(np.full((SIDE, SIDE), number % 3, np.uint8)) if sidecars else None,
        rays_npz=encode_camera(pose, np.eye(3)) if sidecars else None,
    )


def planned_samples(split: str, shard: int) -> Iterator[EncodedSample | Rejected]:
    for row in range(PLAN[split][shard]):
        yield tiny_sample(50 * (split == "val") + 10 * shard + row, True)
    if shard == 1:
        yield Rejected(f"{split}{shard}.jpg", "broken, twice")


def full_disk(split: str, shard: int) -> Iterator[EncodedSample]:
    yield tiny_sample(0, True)
    if shard == 1:
        raise OSError(errno.ENOSPC, "No space left on device")


def waiting_samples(until: Path, split: str, shard: int) -> Iterator[EncodedSample]:
    """Two samples, the second of which comes when a file is there."""
    yield tiny_sample(0, True)
    wait_for(until.exists)
    yield tiny_sample(1, True)


def planned_samples_held(until: Path, split: str, shard: int) -> Iterator[EncodedSample | Rejected]:
    """`planned_samples`, each shard of which leaves its process number and waits for a file."""
    (until.parent / f"{os.getpid()}.pid").touch()
    for row, sample in enumerate(planned_samples(split, shard)):
        if row == 1:
            wait_for(until.exists, seconds=10 * HANGS)  # a killed build ends it before
        yield sample
