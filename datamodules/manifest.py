"""The manifest of a shard root: what it holds, how it was made, and the checksums to prove it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from datamodules.errors import DataError, check_number
from datamodules.json_values import (
    as_integer,
    as_list,
    as_object,
    as_scalar,
    as_text,
    parse_json,
    shown,
)
from datamodules.modalities import RGB, SIDECARS, TOKENS

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
MAX_SHARD_SAMPLES = 2**20
"""Images that a shard may have; the order of a shard is held in memory."""
MAX_RESOLUTION = 2**16
Parameter = str | int | float | bool | None

_TAR_HEADER = 512  # bytes that every sample takes in each of its tars, at least
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class FileInfo:
    """Checksum and size of one tar."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class ShardInfo:
    """One shard: its number as written in the file names, its images, one file a modality."""

    name: str
    samples: int
    files: Mapping[str, FileInfo]


@dataclass(frozen=True)
class Manifest:
    """Contents of ``manifest.json``.

    splits      shards of each split, in order
    classes     class names, indexed by label
    modalities  rgb, and any of depth, mask, rays; or tokens alone
    resolution  side of the stored square images in pixels, of tokens that of the images behind
                them; None when sizes differ
    parameters  settings of the tool that wrote the shards
    sidecars    how each modality that was added later was made
    """

    splits: Mapping[str, tuple[ShardInfo, ...]]
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    resolution: int | None
    parameters: Mapping[str, Parameter]
    format_version: int = FORMAT_VERSION
    sidecars: Mapping[str, Mapping[str, Parameter]] = field(default_factory=dict)

    def samples(self, split: str) -> int:
        """Number of images of a split, 0 if it does not exist."""
        return sum(shard.samples for shard in self.splits.get(split, ()))

    def to_json(self) -> str:
        """Deterministic JSON text of the manifest."""
        content = asdict(self)
        if not self.sidecars:
            del content["sidecars"]
        return json.dumps(content, indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str, source: str) -> Manifest:
        """Parse a manifest; DataError in one sentence naming `source` when it is not one."""
        try:
            raw = as_object(parse_json(text, unique=True), "all of it")
            version = raw["format_version"]
        except (ValueError, KeyError) as error:
            raise DataError(f"{source} is not a shard manifest: {_reason(error)}.") from error
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise DataError(
                f"{source} has format version {shown(version)}, this release reads version "
                f"{FORMAT_VERSION}: write the shards again with `wild3d shards`."
            )
        try:
            return _parse(raw)
        except (ValueError, KeyError) as error:
            raise DataError(f"{source} is a malformed manifest: {_reason(error)}.") from error


def check_splits(splits: Mapping[str, Sequence[int]]) -> None:
    """DataError if a manifest could not hold splits of these names with shards of so many images.

    So that shards are not written which nothing reads.
    """
    try:
        for split in splits:
            _as_name(split, "the name of a split")
    except ValueError as error:
        raise DataError(f"{error}.") from error
    for split, counts in splits.items():
        check_number(f"samples of a shard of {split}", max(counts, default=0), 0, MAX_SHARD_SAMPLES)


def images_hash(source: Manifest, modality: str = RGB) -> str:
    """SHA-256 in hex of the checksums of all images, or of a sidecar; others may come and go."""
    checksums = {
        split: [shard.files[modality].sha256 for shard in shards]
        for split, shards in source.splits.items()
    }
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()


def shard_from_json(raw: Any) -> ShardInfo:
    """Parse one shard entry; KeyError or ValueError when it is malformed.

    A tar has more bytes than the headers of its samples take.
    """
    raw = as_object(raw, "a shard")
    name = _as_name(raw["name"], "the name of a shard")
    samples = as_integer(raw["samples"], f"samples of shard {name}", 0, MAX_SHARD_SAMPLES)
    files = {}
    for modality, entry in as_object(raw["files"], f"files of shard {name}").items():
        what = f"the {shown(modality)} file of shard {name}"
        entry = as_object(entry, what)
        sha256 = as_text(entry["sha256"], f"sha256 of {what}")
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"sha256 of {what} is {shown(sha256)}, expected 64 hex digits")
        size = as_integer(entry["bytes"], f"bytes of {what}", 0, 2**63 - 1)
        if samples * _TAR_HEADER > size:
            raise ValueError(f"{what} has {size} bytes, too few for {samples} samples")
        files[modality] = FileInfo(sha256, size)
    return ShardInfo(name, samples, files)


def _parse(raw: Mapping[str, Any]) -> Manifest:
    modalities = tuple(
        as_text(name, "a modality") for name in as_list(raw["modalities"], "modalities")
    )
    of_images = RGB in modalities and set(modalities) <= {RGB, *SIDECARS}
    of_images = of_images and len(set(modalities)) == len(modalities)
    if not of_images and modalities != (TOKENS,):
        raise ValueError(
            f"modalities {shown(list(modalities))} are neither {RGB} with any of "
            f"{', '.join(SIDECARS)}, nor {TOKENS} alone"
        )
    splits = {
        _as_name(split, "the name of a split"): _parse_split(split, shards, modalities)
        for split, shards in as_object(raw["splits"], "splits").items()
    }
    resolution = raw["resolution"]
    if resolution is not None:
        as_integer(resolution, "resolution", 1, MAX_RESOLUTION)
    sidecars = as_object(raw.get("sidecars", {}), "sidecars")
    return Manifest(
        splits=splits,
        classes=tuple(as_text(name, "a class") for name in as_list(raw["classes"], "classes")),
        modalities=modalities,
        resolution=resolution,
        parameters=_parse_parameters(raw["parameters"], "parameters"),
        sidecars={name: _parse_parameters(made, shown(name)) for name, made in sidecars.items()},
    )


def _parse_parameters(raw: Any, what: str) -> dict[str, Parameter]:
    return {name: as_scalar(value, shown(name)) for name, value in as_object(raw, what).items()}


def _parse_split(split: str, raw: Any, modalities: tuple[str, ...]) -> tuple[ShardInfo, ...]:
    shards = tuple(shard_from_json(shard) for shard in as_list(raw, f"split {shown(split)}"))
    for shard in shards:
        if set(shard.files) != set(modalities) or shard.samples < 1:
            raise ValueError(
                f"shard {shard.name} of {split} lists {shard.samples} samples in files "
                f"{shown(sorted(shard.files))}, expected at least 1 in {sorted(modalities)}"
            )
    if len({shard.name for shard in shards}) < len(shards):
        raise ValueError(f"split {split} lists a shard twice")
    return shards


def _as_name(value: Any, name: str) -> str:
    """A part of file names, which means nothing to shells and lies in the folder it is put in."""
    if not _NAME.fullmatch(as_text(value, name)):
        raise ValueError(
            f"{name} is {shown(value)}, expected up to 100 letters, digits, dots, dashes and "
            "underscores"
        )
    return str(value)


def _reason(error: Exception) -> str:
    return f"key {error} is missing" if isinstance(error, KeyError) else str(error)
