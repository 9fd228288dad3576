"""`wild3d merge`: several shard roots as one, whose tars are links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.build.linked import link
from datamodules.errors import DataError, counted
from datamodules.files import telling_full_disk, write_atomically
from datamodules.join import JoinedShard
from datamodules.lock import building_alone
from datamodules.manifest import MANIFEST_NAME, Manifest, Parameter, ShardInfo, images_hash
from datamodules.modalities import RGB, SIDECARS, shard_file
from datamodules.remote import is_local, read_manifest


def merge(roots: tuple[str, ...], out: str, modalities: tuple[str, ...] = ()) -> None:
    """Make one shard root of several, to train on all of their images.

    Tars are hard links, or copies where folders lie on different disks, so that nothing is encoded
    again. The classes are kept where all roots have the same; else the new root has none.

    Args:
        roots: folders of image shards, in the order in which their shards are to come.
        out: folder to write.
        modalities: sidecars to keep, e.g. depth mask; by default those that all roots have.
    """
    sources = {root: _source(root) for root in roots}
    if len(sources) < 2:
        raise DataError("--roots names fewer than two folders: there is nothing to merge.")
    kept = (RGB, *_sidecars(sources, modalities))
    parameters: dict[str, Parameter] = {"tool": "wild3d merge", "modalities": " ".join(kept)}
    for number, source in enumerate(sources.values()):
        parameters |= {f"source_{number}_{name}": images_hash(source, name) for name in kept}
    folder = Path(out)
    with telling_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with building_alone(folder):
            if not (folder / MANIFEST_NAME).exists():
                _check_keys(sources)
                _write(sources, kept, parameters, folder)
    merged = read_manifest(out)
    if merged.parameters != parameters:
        raise DataError(f"{out} holds other shards: name another --out.")
    images = sum(merged.samples(split) for split in merged.splits)
    print(f"{counted(images, 'image')} in {out}: {', '.join(kept)}")


def _source(root: str) -> Manifest:
    if not is_local(root):
        raise DataError(f"{root} is no local folder: its shards can't be linked.")
    source = read_manifest(root)
    if RGB not in source.modalities:
        raise DataError(f"{root} holds no images.")
    return source


def _sidecars(sources: Mapping[str, Manifest], wanted: Sequence[str]) -> list[str]:
    """Sidecars that all roots have; DataError if one lacks what is wanted."""
    for modality in wanted:
        if modality not in SIDECARS:
            raise DataError(f"--modalities has {modality!r}: name any of {', '.join(SIDECARS)}.")
        for root, source in sources.items():
            if modality not in source.modalities:
                raise DataError(f"{root} has no {modality}: leave it out of --modalities.")
    common = (m for m in SIDECARS if all(m in source.modalities for source in sources.values()))
    return [modality for modality in common if modality in wanted or not wanted]


def _check_keys(sources: Mapping[str, Manifest]) -> None:
    """Refuse roots of which two hold the same key in one split."""
    seen: dict[tuple[str, str], str] = {}
    for root, source in sources.items():
        for split, shards in source.splits.items():
            for shard in shards:
                images = JoinedShard(root, split, shard, (RGB,), strict=True)
                for key in images.keys:
                    if (other := seen.setdefault((split, key), root)) != root:
                        raise DataError(f"{other} and {root} both hold {key} in {split}.")
                images.close()


def _write(
    sources: Mapping[str, Manifest],
    kept: tuple[str, ...],
    parameters: Mapping[str, Parameter],
    folder: Path,
) -> None:
    """Link the tars of all roots under new numbers, then write the manifest."""
    splits: dict[str, list[ShardInfo]] = {}
    for root, source in sources.items():
        for split, shards in source.splits.items():
            (folder / split).mkdir(exist_ok=True)
            merged = splits.setdefault(split, [])
            for shard in shards:
                name = f"{len(merged):06d}"
                for modality in kept:
                    own = Path(root, split, shard_file(modality, shard.name))
                    link(own, folder / split / shard_file(modality, name))
                files = {modality: shard.files[modality] for modality in kept}
                merged.append(ShardInfo(name, shard.samples, files))
    classes = {source.classes for source in sources.values()}
    sides = {source.resolution for source in sources.values()}
    manifest = Manifest(
        splits={split: tuple(shards) for split, shards in splits.items()},
        classes=classes.pop() if len(classes) == 1 else (),
        modalities=kept,
        resolution=sides.pop() if len(sides) == 1 else None,
        parameters=parameters,
    )
    write_atomically(folder / MANIFEST_NAME, manifest.to_json())
