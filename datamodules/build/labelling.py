"""Label the images of finished shards, in one process or in many, and continue after interruption.

Each process takes whole shards. Whoever writes the last missing one enters the modality in the
manifest, so that processes need not speak with one another.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from datamodules.build.driver import progress_bar
from datamodules.build.notes import changed_parameters, write_reasons
from datamodules.build.sidecar import checked_sidecar, enter_sidecar, write_sidecar
from datamodules.build.writer import Rejected, read_rejected
from datamodules.errors import DataError
from datamodules.files import remove_partials, telling_full_disk, write_atomically
from datamodules.image_header import FORMATS, read_header
from datamodules.join import RawSample
from datamodules.json_values import as_integer, as_object, as_text, parse_json
from datamodules.lock import building_alone
from datamodules.manifest import FileInfo, Manifest, Parameter, ShardInfo
from datamodules.remote import is_local, read_manifest


@dataclass(frozen=True)
class Label:
    """The encoded label of the image of a key, and why it is unknown, where it is."""

    key: str
    content: bytes
    unknown: str | None = None


NOTE = "made.json"
"""Of how the labels are made, while they are."""

MakeLabels = Callable[[str, ShardInfo], Iterable[Label]]
"""(split, shard) -> the labels of its images, in their order."""


@dataclass(frozen=True)
class Share:
    """Which of the shards a process takes: every `world`-th from its `rank`-th."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class _Written:
    """Record of a labelled shard: its tar, and the images whose label is unknown."""

    file: FileInfo
    unknown: tuple[Rejected, ...]


def label_shards(
    root: str,
    modality: str,
    made: Mapping[str, Parameter],
    make_labels: MakeLabels,
    share: Share = Share(),
) -> Manifest | None:
    """Write the tars of a new modality beside those of the images; a finished one is never written
    again, and images are not touched.

    Args:
        made: how the labels are made, for the manifest; going on with other settings is refused.

    Returns:
        The manifest once all shards are labelled; None while other processes are at theirs.

    Raises:
        DataError: the root is no local folder, or has labels made otherwise, or a tar is damaged.
    """
    folder = Path(root)
    if (finished := finished_labels(root, modality, made)) is not None:
        _tidy(folder, modality)  # a process that was killed last of all leaves its notes
        return finished
    with telling_full_disk(folder):
        if (finished := _begin(folder, modality, made)) is not None:
            return finished
        shards = [(split, each) for split, of in read_manifest(root).splits.items() for each in of]
        mine = shards[share.rank :: share.world]
        missing = [job for job in mine if not _record(folder, modality, *job).exists()]
        total = sum(shard.samples for _, shard in mine)
        done = total - sum(shard.samples for _, shard in missing)
        with progress_bar(done, total) as advance:
            for split, shard in missing:
                try:
                    _write(folder, modality, split, shard, make_labels, advance)
                except (FileNotFoundError, _WrittenMeanwhileError):
                    # The same command runs elsewhere, and was quicker.
                    if (finished := finished_labels(root, modality, made)) is not None:
                        return finished
                    if not _record(folder, modality, split, shard).exists():
                        raise
        with building_alone(folder):
            return _finish(folder, modality, made, shards)


def finished_labels(root: str, modality: str, made: Mapping[str, Parameter]) -> Manifest | None:
    """The manifest of a root whose labels were made so, None if it has none.

    Raises:
        DataError: it has others, or is no local folder.
    """
    if not is_local(root):
        raise DataError(f"{root} is no local folder: labels are written beside the images.")
    manifest = read_manifest(root)
    if modality not in manifest.modalities:
        return None
    found = manifest.sidecars.get(modality)
    if found is None or (changed := changed_parameters(found, made)):
        other = "came with it" if found is None else f"was made otherwise ({changed})"
        raise DataError(
            f"{root} has {modality} already, which {other}: name another root of the same images "
            "in --out."
        )
    return manifest


def stated_size(raw: RawSample) -> tuple[int, int]:
    """Height and width of a stored image as far as its header tells, else one pixel."""
    try:
        header = read_header(raw.payload, FORMATS[raw.extension.lower()])
        return header.height, header.width
    except (KeyError, ValueError):
        return 1, 1


def unknown_file(root: str | Path, modality: str) -> Path:
    """Where images whose label is unknown are listed with the reason."""
    return Path(root, f"unknown-{modality}.csv")


class _WrittenMeanwhileError(Exception):
    """Another process has written the shard."""


def _begin(root: Path, modality: str, made: Mapping[str, Parameter]) -> Manifest | None:
    """Leave a note of how the labels are made, or check that it is the one found; the manifest if
    another process has finished meanwhile."""
    path = _progress(root, modality) / NOTE
    with building_alone(root):
        if (finished := finished_labels(str(root), modality, made)) is not None:
            return finished
        begun = any(each.name != NOTE for each in path.parent.glob("*.json"))
        begun = begun or any(root.glob(f"*/{modality}-*.partial"))  # of a process that is at it
        if not path.exists() or not begun:
            write_atomically(path, json.dumps(dict(made), sort_keys=True))
    try:
        found = as_object(parse_json(path.read_bytes()), "it")
    except ValueError as error:
        raise DataError(f"{path} is damaged: remove its folder and run this again.") from error
    if changed := changed_parameters(found, made):
        raise DataError(
            f"{root} holds unfinished {modality} made otherwise ({changed}): continue with the "
            f"same settings, or remove {path.parent}."
        )
    return None


def _write(
    root: Path,
    modality: str,
    split: str,
    shard: ShardInfo,
    make_labels: MakeLabels,
    advance: Callable[[int], None],
) -> None:
    unknown: list[Rejected] = []
    record = _record(root, modality, split, shard)

    def contents() -> Iterator[tuple[str, bytes]]:
        for label in make_labels(split, shard):
            if label.unknown is not None:
                unknown.append(Rejected(label.key, label.unknown))
            yield label.key, label.content
            advance(1)
        if record.exists():
            raise _WrittenMeanwhileError

    write_sidecar(root, split, shard.name, modality, contents())
    written = _Written(checked_sidecar(root, split, shard.name, modality), tuple(unknown))
    write_atomically(record, json.dumps(asdict(written)))


def _finish(
    root: Path,
    modality: str,
    made: Mapping[str, Parameter],
    shards: Sequence[tuple[str, ShardInfo]],
) -> Manifest | None:
    """Enter the modality in the manifest if every shard has its labels."""
    if (finished := finished_labels(str(root), modality, made)) is not None:
        return finished  # by a process that was at this point at the same time
    records = [_record(root, modality, *job) for job in shards]
    if not all(path.exists() for path in records):
        return None
    written = [_read(path) for path in records]
    write_reasons(unknown_file(root, modality), [each for one in written for each in one.unknown])
    names = [(split, shard.name) for split, shard in shards]
    files = {name: one.file for name, one in zip(names, written, strict=True)}
    manifest = enter_sidecar(root, modality, files, made)
    for split in manifest.splits:
        remove_partials(root / split, f"{modality}-")
    _tidy(root, modality)
    return manifest


def _tidy(root: Path, modality: str) -> None:
    """Remove the notes of a finished labelling, as far as the folder can be written."""
    shutil.rmtree(_progress(root, modality), ignore_errors=True)


def _progress(root: Path, modality: str) -> Path:
    return root / f".progress-{modality}"


def _record(root: Path, modality: str, split: str, shard: ShardInfo) -> Path:
    return _progress(root, modality) / f"{split}-{shard.name}.json"


def _read(path: Path) -> _Written:
    try:
        raw = as_object(parse_json(path.read_bytes()), "it")
        file = as_object(raw["file"], "file")
        size = as_integer(file["bytes"], "bytes", 0, 2**63 - 1)
        info = FileInfo(as_text(file["sha256"], "sha256"), size)
        return _Written(info, read_rejected(raw["unknown"]))
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path} is damaged: remove it and run the same command again, which labels its shard "
            "anew."
        ) from error
