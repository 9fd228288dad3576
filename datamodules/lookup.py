"""One image of a shard root by its key, with all that the shards know of it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from datamodules.augment import Augmentation, draw
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.image_header import FORMATS, read_header
from datamodules.join import JoinedShard, RawSample
from datamodules.manifest import MANIFEST_NAME, Manifest
from datamodules.modalities import MASK, RAYS, RGB, TOKENS, TRAIN
from datamodules.remote import read_manifest
from datamodules.schema import Batch


def is_shard_root(folder: Path) -> bool:
    """Whether a local folder has the manifest of shards."""
    return os.path.isfile(folder / MANIFEST_NAME)  # which, unlike pathlib, raises nothing


def find_image(root: Path, key: str, resolution: int, or_smaller: bool = False) -> Batch:
    """The image of a key, as in validation: its central square alone in a batch, with mask, rays
    and attributes where the shards have them.

    Args:
        or_smaller: take one that is smaller at its own size.

    Raises:
        DataError: there is no such image, it can't be read, or is smaller than `resolution`.
    """
    manifest = read_manifest(str(root))
    if TOKENS in manifest.modalities:
        raise DataError(f"{root} holds tokens, not images: name the root of the images.")
    modalities = (RGB, *(name for name in (MASK, RAYS) if name in manifest.modalities))
    raw = _read(root, manifest, modalities, key)
    image_format = FORMATS.get(raw.extension.lower())
    try:
        if or_smaller and image_format is not None:
            resolution = min(resolution, *read_header(raw.payload, image_format)[:2])
        decoder = ImageDecoder(Augmentation(resolution), rays=RAYS in modalities)
        return collate([decoder(raw, draw(0, key, 0))])
    except ValueError as error:
        raise DataError(f"{root}, key {key}: {error}.") from error


def _read(root: Path, manifest: Manifest, modalities: tuple[str, ...], key: str) -> RawSample:
    """The bytes of a key; splits other than that of training are looked through first, as they are
    small."""
    shown: list[str] = []
    for split in sorted(manifest.splits, key=lambda name: (name == TRAIN, name)):
        for shard in manifest.splits[split]:
            # Alone, it is opened without an index of its sidecars.
            with closing(JoinedShard(str(root), split, shard, (RGB,), strict=True)) as images:
                keys = images.keys
            if key in keys:
                with closing(JoinedShard(str(root), split, shard, modalities, strict=True)) as all_:
                    return all_.read(keys.index(key))
            shown += keys[:1]
    raise DataError(f"{root} has no image {key}; it has {', '.join(shown[:3])}, for example.")
