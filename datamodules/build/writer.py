"""Write one shard: all its tars or none, the same bytes for the same samples."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from datamodules.errors import DataError
from datamodules.files import replacing, telling_full_disk, write_atomically
from datamodules.json_values import as_list, as_object, as_text, parse_json
from datamodules.manifest import FileInfo, ShardInfo, shard_from_json
from datamodules.modalities import (
    DEPTH,
    IMAGE_EXTENSIONS,
    MASK,
    RAYS,
    RGB,
    SIDECAR_EXTENSION,
    SIDECARS,
    TOKENS,
    TOKENS_EXTENSION,
    shard_file,
)

MAX_KEY_LENGTH = 80
PROGRESS_FOLDER = ".progress"


class ShardSample(Protocol):
    """One sample of a shard, already compressed: `EncodedSample` or `EncodedTokens`.

    key  no dot, no slash, at most 80 characters, unique in its split
    """

    @property
    def key(self) -> str:
        """Name of the sample."""

    def modalities(self) -> tuple[str, ...]:
        """The modalities it carries, each of which goes into a tar of its own."""

    def members(self, modality: str) -> tuple[tuple[str, bytes], ...]:
        """File names and contents in the tar of one modality; DataError if it cannot be stored."""


@dataclass(frozen=True)
class EncodedSample:
    """One image and its labels, already compressed (see `datamodules.build.encode`).

    key          no dot, no slash, at most 80 characters, unique in its split
    image_ext    "jpg", "png" or "webp"
    json_record  label (int) and class (str); size [l, w, h], time_of_day and semantics (a list
                 of numbers) where known
    """

    key: str
    image_bytes: bytes
    image_ext: str
    json_record: Mapping[str, Any]
    depth_png: bytes | None = None
    mask_png: bytes | None = None
    rays_npz: bytes | None = None

    def modalities(self) -> tuple[str, ...]:
        """The modalities this sample carries, in the order of `MODALITIES`."""
        sidecars = self._sidecars()
        return (RGB, *(m for m in SIDECARS if sidecars[m] is not None))

    def members(self, modality: str) -> tuple[tuple[str, bytes], ...]:
        """File names and contents of this sample in the tar of one modality."""
        if modality == RGB:
            if self.image_ext not in IMAGE_EXTENSIONS:
                raise DataError(
                    f"sample {self.key} has image type {self.image_ext!r}, "
                    f"expected one of {', '.join(IMAGE_EXTENSIONS)}."
                )
            image = f"{self.key}.{self.image_ext}", self.image_bytes
            return image, record_member(self.key, self.json_record)
        content = self._sidecars()[modality]
        if content is None:
            raise DataError(f"sample {self.key} has no {modality}, the samples before it do.")
        return ((f"{self.key}.{SIDECAR_EXTENSION[modality]}", content),)

    def _sidecars(self) -> dict[str, bytes | None]:
        return {DEPTH: self.depth_png, MASK: self.mask_png, RAYS: self.rays_npz}


@dataclass(frozen=True)
class EncodedTokens:
    """The tokens of one image (see `datamodules.build.encode.encode_tokens`) and its labels.

    key, json_record  those of the image
    """

    key: str
    tokens_npy: bytes
    json_record: Mapping[str, Any]

    def modalities(self) -> tuple[str, ...]:
        """Tokens, in a tar of their own."""
        return (TOKENS,)

    def members(self, modality: str) -> tuple[tuple[str, bytes], ...]:
        """File names and contents of this sample."""
        tokens = f"{self.key}.{TOKENS_EXTENSION}", self.tokens_npy
        return tokens, record_member(self.key, self.json_record)


def record_member(key: str, record: Mapping[str, Any]) -> tuple[str, bytes]:
    """File name and content of a sample's json record."""
    return f"{key}.json", json.dumps(dict(record), sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Rejected:
    """A source that could not become a sample; it is listed in ``rejected.csv``."""

    source: str
    reason: str


@dataclass(frozen=True)
class ShardRecord:
    """Record of a finished shard, the proof that it is finished."""

    split: str
    shard: ShardInfo
    rejected: tuple[Rejected, ...] = field(default=())


def write_shard(
    root: str | Path, split: str, index: int, samples: Iterable[ShardSample | Rejected]
) -> ShardInfo:
    """Write shard `index` of a split; nothing of it is visible as finished until all of it is.

    Tars are written under a ``.partial`` name and renamed together; the record of the finished
    shard comes last, so a shard that was interrupted is written again. Modalities are those of
    the first sample. Returns a ShardInfo with 0 samples and no files if every source was rejected.

    Raises DataError on a bad or repeated key, on a sample with other modalities, on a full disk.
    """
    root = Path(root)
    name = f"{index:06d}"
    rejected: list[Rejected] = []
    with telling_full_disk(root / split):
        (root / split).mkdir(parents=True, exist_ok=True)
        (root / PROGRESS_FOLDER).mkdir(exist_ok=True)
        shard = _write_tars(root / split, name, _accepted(samples, rejected))
        record = ShardRecord(split, shard, tuple(rejected))
        write_atomically(record_path(root, split, index), json.dumps(asdict(record)))
    return shard


def record_path(root: Path, split: str, index: int) -> Path:
    """Path of the record of a finished shard, kept until the manifest is written."""
    return root / PROGRESS_FOLDER / f"{split}-{index:06d}.json"


def read_record(path: Path) -> ShardRecord | None:
    """Read the record of a finished shard, None if the shard is not finished.

    Raises DataError when it is damaged.
    """
    if not path.exists():
        return None
    try:
        raw = as_object(parse_json(path.read_bytes()), "it")
        rejected = read_rejected(raw["rejected"])
        return ShardRecord(as_text(raw["split"], "split"), shard_from_json(raw["shard"]), rejected)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path} is damaged: remove it and run the same command again, which writes its shard "
            "anew."
        ) from error


def read_rejected(raw: Any) -> tuple[Rejected, ...]:
    """Parse what a record lists as rejected; KeyError or ValueError when it is malformed."""
    entries = (as_object(entry, "it") for entry in as_list(raw, "what was rejected"))
    return tuple(
        Rejected(as_text(entry["source"], "source"), as_text(entry["reason"], "reason"))
        for entry in entries
    )


def _accepted(
    samples: Iterable[ShardSample | Rejected], rejected: list[Rejected]
) -> Iterator[ShardSample]:
    """Pass samples on with their keys checked; collect the rejected sources on the way."""
    keys: set[str] = set()
    for sample in samples:
        if isinstance(sample, Rejected):
            rejected.append(sample)
            continue
        check_key(sample.key)
        if sample.key in keys:
            raise DataError(f"key {sample.key!r} occurs twice in one shard: keys must be unique.")
        keys.add(sample.key)
        yield sample


def check_key(key: str) -> None:
    """DataError unless the key can name a file of a shard: no dot or slash, 1 to 80 characters."""
    size = len(key.encode(errors="surrogatepass"))
    text = not re.search("[\ud800-\udfff]", key)
    if not key or "." in key or "/" in key or size > MAX_KEY_LENGTH or not text:
        raise DataError(
            f"key {key!r} is not usable: it needs 1 to {MAX_KEY_LENGTH} characters, no dot, "
            "no slash, and no byte that is not UTF-8."
        )


def _write_tars(folder: Path, name: str, samples: Iterator[ShardSample]) -> ShardInfo:
    first = next(samples, None)
    if first is None:
        return ShardInfo(name, 0, {})
    modalities = first.modalities()
    with ExitStack() as stack:
        partials = {
            modality: stack.enter_context(replacing(folder / shard_file(modality, name)))
            for modality in modalities
        }
        count = _fill(partials, first, samples)
        files = {modality: file_info(path) for modality, path in partials.items()}
    return ShardInfo(name, count, files)


def _fill(partials: Mapping[str, Path], first: ShardSample, rest: Iterator[ShardSample]) -> int:
    """Write the samples into one open tar a modality, in lock-step; return how many."""
    count = 0
    with ExitStack() as stack:
        tars = {
            modality: stack.enter_context(tarfile.open(path, "w", format=tarfile.USTAR_FORMAT))
            for modality, path in partials.items()
        }
        sample: ShardSample | None = first
        while sample is not None:
            if sample.modalities() != tuple(tars):
                raise DataError(
                    f"sample {sample.key} has {', '.join(sample.modalities())}, "
                    f"the samples before it {', '.join(tars)}."
                )
            for modality, tar in tars.items():
                for member, content in sample.members(modality):
                    add_member(tar, member, content)
            count += 1
            sample = next(rest, None)
    return count


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a file with fixed owner, mode and time, so that equal content gives equal tars."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(content))


def file_info(path: Path) -> FileInfo:
    """Checksum and size of a file on disk."""
    with path.open("rb") as file:
        return FileInfo(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
