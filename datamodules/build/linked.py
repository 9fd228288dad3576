"""A second root of the same images, whose tars are links, to label them in another way."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from datamodules.errors import DataError
from datamodules.files import replacing, telling_full_disk, write_atomically
from datamodules.lock import building_alone
from datamodules.manifest import MANIFEST_NAME, Manifest, images_hash
from datamodules.modalities import RGB, shard_file
from datamodules.remote import is_local, read_manifest


def linked_root(root: str, out: str, without: str) -> Manifest:
    """Make `out` a root of the images of `root` and of all their sidecars but one, unless it is.

    Tars are hard links, or copies where the two folders lie on different disks.

    Raises:
        DataError: `root` is no local folder of shards with images, or `out` holds others.
    """
    if not is_local(root):
        raise DataError(f"{root} is no local folder: its shards can't be linked to {out}.")
    source, folder = read_manifest(root), Path(out)
    if RGB not in source.modalities:
        raise DataError(f"{root} holds no images to label.")
    with telling_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with building_alone(folder):
            if (folder / MANIFEST_NAME).exists():
                return _same_images(source, root, out)
            kept = _without(source, without)
            for split, shards in kept.splits.items():
                (folder / split).mkdir(exist_ok=True)
                for shard in shards:
                    for modality in shard.files:
                        file = f"{split}/{shard_file(modality, shard.name)}"
                        link(Path(root, file), folder / file)
            write_atomically(folder / MANIFEST_NAME, kept.to_json())
            return kept


def _same_images(source: Manifest, root: str, out: str) -> Manifest:
    found = read_manifest(out)
    if RGB not in found.modalities or images_hash(found) != images_hash(source):
        raise DataError(f"{out} holds other images than {root}: name another --out.")
    return found


def _without(manifest: Manifest, modality: str) -> Manifest:
    splits = {
        split: tuple(
            replace(shard, files={m: info for m, info in shard.files.items() if m != modality})
            for shard in shards
        )
        for split, shards in manifest.splits.items()
    }
    kept = tuple(name for name in manifest.modalities if name != modality)
    made = {name: how for name, how in manifest.sidecars.items() if name != modality}
    return replace(manifest, splits=splits, modalities=kept, sidecars=made)


def link(source: Path, target: Path) -> None:
    """Make a file a hard link to another, or a copy where there can be none."""
    with replacing(target) as partial:
        try:
            os.link(source, partial)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, partial)
