"""The manifest of a shard root: what it holds, how it was made, and the checksums to prove it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from datamodules.errors import DataError
from datamodules.modalities import RGB, SIDECARS, TOKENS

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
Parameter = str | int | float | bool | None


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
    """

    splits: Mapping[str, tuple[ShardInfo, ...]]
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    resolution: int | None
    parameters: Mapping[str, Parameter]
    format_version: int = FORMAT_VERSION

    def samples(self, split: str) -> int:
        """Number of images of a split, 0 if it does not exist."""
        return sum(shard.samples for shard in self.splits.get(split, ()))

    def to_json(self) -> str:
        """Deterministic JSON text of the manifest."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str, source: str) -> Manifest:
        """Parse a manifest; DataError in one sentence naming `source` when it is not one."""
        try:
            raw = json.loads(text)
            version = raw["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{source} is not a shard manifest: {_reason(error)}.") from error
        if version != FORMAT_VERSION:
            raise DataError(
                f"{source} has format version {version!r}, this release reads version "
                f"{FORMAT_VERSION}: write the shards again with `wild3d shards`."
            )
        try:
            return _parse(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{source} is a malformed manifest: {_reason(error)}.") from error


def images_hash(source: Manifest, modality: str = RGB) -> str:
    """SHA-256 in hex of the checksums of all images, or of a sidecar; others may come and go."""
    checksums = {
        split: [shard.files[modality].sha256 for shard in shards]
        for split, shards in source.splits.items()
    }
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()


def shard_from_json(raw: Mapping[str, Any]) -> ShardInfo:
    """Parse one shard entry; KeyError, TypeError or ValueError when it is malformed."""
    files = {
        str(modality): FileInfo(str(file["sha256"]), int(file["bytes"]))
        for modality, file in raw["files"].items()
    }
    return ShardInfo(str(raw["name"]), int(raw["samples"]), files)


def _parse(raw: Mapping[str, Any]) -> Manifest:
    modalities = tuple(raw["modalities"])
    of_images = RGB in modalities and set(modalities) <= {RGB, *SIDECARS}
    if not of_images and modalities != (TOKENS,):
        raise ValueError(
            f"modalities {list(modalities)} are neither {RGB} with any of {', '.join(SIDECARS)}, "
            f"nor {TOKENS} alone"
        )
    splits = {
        str(split): tuple(shard_from_json(shard) for shard in shards)
        for split, shards in raw["splits"].items()
    }
    for split, shards in splits.items():
        for shard in shards:
            if set(shard.files) != set(modalities) or shard.samples < 1:
                raise ValueError(
                    f"shard {shard.name} of {split} lists {shard.samples} samples in files "
                    f"{sorted(shard.files)}, expected {sorted(modalities)}"
                )
    resolution = raw["resolution"]
    return Manifest(
        splits=splits,
        classes=tuple(str(name) for name in raw["classes"]),
        modalities=modalities,
        resolution=None if resolution is None else int(resolution),
        parameters=dict(raw["parameters"]),
    )


def _reason(error: Exception) -> str:
    return f"key {error} is missing" if isinstance(error, KeyError) else str(error)
