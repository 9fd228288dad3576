"""Samples for worker processes, which start quickly because nothing here imports torch."""

import errno
from collections.abc import Iterator

import numpy as np

from datamodules.build.encode import encode_depth, encode_mask, encode_png, encode_rays
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
        rays_npz=encode_rays(pose, np.eye(3)) if sidecars else None,
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
