"""Which images are for training and which for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from datamodules.build.search import SourceImage
from datamodules.modalities import TRAIN, VAL


def split_images(
    images: Sequence[SourceImage], val_fraction: float, seed: int
) -> dict[str, list[SourceImage]]:
    """Deal images into train and val by a hash of their key, each in an order shuffled by `seed`.

    Train gets at least one image; with a positive fraction and two or more, val does, too.
    """
    ranked = sorted(images, key=_rank)
    count = sum(_rank(image) < val_fraction * 2**64 for image in images)
    if val_fraction > 0 and images:
        count = min(max(count, 1), len(images) - 1)
    parts = {TRAIN: ranked[count:], VAL: ranked[:count]}
    return {split: _shuffled(part, seed) for split, part in parts.items() if part}


def keep_usable(
    splits: Mapping[str, Sequence[SourceImage]], usable: Callable[[SourceImage], bool], seed: int
) -> dict[str, list[SourceImage]]:
    """Move an image where all of train, or all of val, would be rejected and the other can spare
    one: training comes first, so val gets one only if there are two.

    usable  whether an image can be stored; asked until one of a split can, so it is called seldom
    """
    dealt = {split: list(images) for split, images in splits.items()}
    if VAL not in dealt:
        return dealt
    for taker, giver, left in ((TRAIN, VAL, 0), (VAL, TRAIN, 1)):
        if any(map(usable, dealt[taker])):
            continue
        # As if the share for validation were a little smaller, or larger.
        nearest = sorted(dealt[giver], key=_rank, reverse=giver == VAL)
        spare = list(islice(filter(usable, nearest), 1 + left))
        if len(spare) > left:
            dealt[giver].remove(spare[0])
            dealt[taker] = _shuffled([*dealt[taker], spare[0]], seed)
    return {split: images for split, images in dealt.items() if images}


def _shuffled(images: Sequence[SourceImage], seed: int) -> list[SourceImage]:
    return sorted(images, key=lambda image: _hash(str(seed), image.key))


def _rank(image: SourceImage) -> int:
    return _hash("split", image.key)


def _hash(salt: str, key: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{salt}/{key}".encode(), digest_size=8).digest())
