"""Add labels to finished shards without rewriting the images."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from datamodules.build.writer import add_member, file_info
from datamodules.errors import DataError
from datamodules.files import open_regular, replacing, telling_full_disk, write_atomically
from datamodules.manifest import MANIFEST_NAME, FileInfo, Manifest, Parameter
from datamodules.modalities import MODALITIES, RGB, SIDECAR_EXTENSION, SIDECARS, shard_file
from datamodules.remote import read_manifest
from datamodules.tar_index import TarIndex, index_tar


def write_sidecar(
    root: str | Path, split: str, shard: str, modality: str, contents: Iterable[tuple[str, bytes]]
) -> None:
    """Write the tar of one new modality of one shard, whole or not at all.

    contents  (key, encoded bytes) of every image of the shard, in the order of its rgb tar

    Raises DataError on an unknown modality and on a full disk. The shards do not count as having
    the modality before `register_sidecar`.
    """
    _check_modality(modality)
    path = Path(root, split, shard_file(modality, shard))
    with (
        telling_full_disk(path.parent),
        replacing(path) as partial,
        tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for key, content in contents:
            add_member(tar, f"{key}.{SIDECAR_EXTENSION[modality]}", content)


def register_sidecar(
    root: str | Path, modality: str, made: Mapping[str, Parameter] | None = None
) -> Manifest:
    """Check the new tars of a modality against the rgb tars and enter them in the manifest.

    made  how the modality was made, for the manifest

    Raises DataError naming the shard and key when a tar is missing, damaged, or has other keys or
    another order; the manifest is unchanged then.
    """
    _check_modality(modality)
    manifest = read_manifest(str(root))
    files = {
        (split, shard.name): checked_sidecar(root, split, shard.name, modality)
        for split, shards in manifest.splits.items()
        for shard in shards
    }
    return enter_sidecar(root, modality, files, made or {})


def enter_sidecar(
    root: str | Path,
    modality: str,
    files: Mapping[tuple[str, str], FileInfo],
    made: Mapping[str, Parameter],
) -> Manifest:
    """Enter the checked tars of a modality, by split and name of the shard, in the manifest."""
    root = Path(root)
    manifest = read_manifest(str(root))
    splits = {
        split: tuple(
            replace(shard, files={**shard.files, modality: files[split, shard.name]})
            for shard in shards
        )
        for split, shards in manifest.splits.items()
    }
    present = {*manifest.modalities, modality}
    modalities = tuple(name for name in MODALITIES if name in present)
    sidecars = {**manifest.sidecars, **({modality: made} if made else {})}
    extended = replace(manifest, splits=splits, modalities=modalities, sidecars=sidecars)
    with telling_full_disk(root):
        write_atomically(root / MANIFEST_NAME, extended.to_json())
    return extended


def checked_sidecar(root: str | Path, split: str, shard: str, modality: str) -> FileInfo:
    """Checksum and size of the tar of a new modality of one shard.

    Raises DataError naming the key when the tar is missing, damaged, or has other keys than its rgb
    tar or another order.
    """
    folder = Path(root, split)
    path = folder / shard_file(modality, shard)
    own, rgb = _index(path), _index(folder / shard_file(RGB, shard))
    for row, key in enumerate(rgb.keys):
        found = own.keys[row] if row < len(own.keys) else "nothing"
        if found != key:
            raise DataError(f"{path} has {found} as sample {row}, expected key {key}.")
        if own.extensions[row] != SIDECAR_EXTENSION[modality]:
            raise DataError(
                f"{path}, key {key}: the file ends in .{own.extensions[row]}, expected "
                f".{SIDECAR_EXTENSION[modality]}."
            )
    if len(own.keys) > len(rgb.keys):
        raise DataError(f"{path} has {len(own.keys)} samples, the images {len(rgb.keys)}.")
    return file_info(path)


def _index(path: Path) -> TarIndex:
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        index = index_tar(descriptor)
    finally:
        os.close(descriptor)
    if index.fault is not None:
        raise DataError(f"{path} is damaged: {index.fault}.")
    return index


def _check_modality(modality: str) -> None:
    if modality not in SIDECARS:
        raise DataError(f"modality {modality!r} is not one of {', '.join(SIDECARS)}.")
