"""Which images are for training and which for validation."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

from datamodules.build.keys import key_hash
from datamodules.build.search import SourceImage
from datamodules.errors import DataError
from datamodules.modalities import TRAIN, VAL


def split_images(
    images: Sequence[SourceImage],
    val_fraction: float,
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> dict[str, list[SourceImage]]:
    """Deal images into train and val by a hash of their key, each in an order shuffled by `seed`.

    Train gets at least one image; with a positive fraction and two or more, val does, too.

    groups: by key, e.g. the object that an image shows. All images of a group go to one split. Of
    each class the fraction of its groups goes to val, rounded, where it has two groups or more at
    least one and not all.
    """
    if groups is None:
        below = sum(key_hash("split", image.key) < val_fraction * 2**64 for image in images)
        held_out = _held_out([image.key for image in images], val_fraction, below)
        named = {image.key: image.key for image in images}
    else:
        named, held_out = dict(groups), set[str]()
        by_class: dict[int, set[str]] = defaultdict(set)
        for image in images:
            by_class[image.label].add(groups[image.key])
        for names in by_class.values():
            held_out |= _held_out(names, val_fraction, round(val_fraction * len(names)))
    parts = {
        TRAIN: [image for image in images if named[image.key] not in held_out],
        VAL: [image for image in images if named[image.key] in held_out],
    }
    return {split: _shuffled(part, seed) for split, part in parts.items() if part}


def _held_out(names: Collection[str], val_fraction: float, count: int) -> set[str]:
    """So many names for validation, chosen by a hash, at least one and not all if there can be."""
    if val_fraction > 0:
        count = min(max(count, 1), len(names) - 1)
    return set(sorted(names, key=lambda name: key_hash("split", name))[:count])


def image_groups(images: Sequence[SourceImage], pattern: str | None) -> dict[str, str] | None:
    """Group of each image by key: what a regular expression finds in its name, the first group of
    it if it has one; None without an expression.

    Raises:
        DataError: it is no regular expression, or finds nothing in a name.
    """
    if pattern is None:
        return None
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DataError(f"val_groups is {pattern!r}, no regular expression: {error}.") from error
    found = {}
    for image in images:
        match = expression.match(image.name)
        group = match and match.group(min(1, expression.groups))
        if group is None:
            raise DataError(f"val_groups, {pattern!r}, does not match {image.name}: change it.")
        found[image.key] = group
    return found


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
    return sorted(images, key=lambda image: key_hash(str(seed), image.key))


def _rank(image: SourceImage) -> int:
    return key_hash("split", image.key)
