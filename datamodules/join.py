"""One shard with its sidecars opened in lock-step: samples by row, matched by key."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.errors import DataError
from datamodules.manifest import FileInfo, ShardInfo
from datamodules.modalities import RGB, shard_file
from datamodules.remote import open_shard_file
from datamodules.tar_index import TarIndex, index_tar

_log = logging.getLogger(__name__)


class SampleError(DataError):
    """One image cannot be used; the sentence names the shard, the key and what is wrong."""


@dataclass(frozen=True)
class RawSample:
    """One image and its sidecars as compressed bytes, writable so that decoders take no copy.

    sidecars  bytes by modality, only the requested ones
    record    the parsed ``.json``, empty if there is none
    """

    key: str
    extension: str
    image: bytearray
    record: Mapping[str, Any]
    sidecars: Mapping[str, bytearray]


@dataclass(frozen=True)
class _Part:
    """One modality of a shard: its open file, its index, and the row of each rgb sample in it."""

    file: str
    descriptor: int
    index: TarIndex
    rows: Sequence[int] | np.ndarray


class JoinedShard:
    """Random access to the samples of one shard.

    With ``strict`` every structural fault (a missing or damaged tar, other keys, another order)
    raises a DataError when the shard is opened; otherwise it is logged once and `read` raises a
    SampleError for the rows concerned.
    """

    def __init__(
        self, root: str, split: str, shard: ShardInfo, modalities: Sequence[str], strict: bool
    ) -> None:
        self._split = split
        self._samples = shard.samples
        self._strict = strict
        self._parts: dict[str, _Part] = {}
        try:
            for modality in (RGB, *(m for m in modalities if m != RGB)):
                self._parts[modality] = self._open(root, shard, modality)
        except BaseException:
            self.close()
            raise

    def read(self, row: int) -> RawSample:
        """Read one sample; SampleError when a part of it is missing."""
        rgb = self._parts[RGB]
        if row >= len(rgb.index.keys):
            raise SampleError(f"{rgb.file} has no sample {row} of {self._samples}.")
        key = rgb.index.keys[row]
        record = _read(rgb, key, rgb.index.record[row])
        sidecars = {}
        for modality, part in self._parts.items():
            if modality == RGB:
                continue
            own_row = int(part.rows[row])
            if own_row < 0:
                raise SampleError(f"{part.file} has no {modality} for key {key}.")
            sidecars[modality] = _read(part, key, part.index.payload[own_row])
        try:
            parsed = json.loads(record) if record else {}
        except ValueError as error:
            raise SampleError(f"{rgb.file}, key {key}: the json is unreadable, {error}.") from error
        image = _read(rgb, key, rgb.index.payload[row])
        return RawSample(key, rgb.index.extensions[row], image, parsed, sidecars)

    def describe(self, row: int) -> str:
        """File and key of a row, to open an error message with."""
        rgb = self._parts[RGB]
        return f"{rgb.file}, key {rgb.index.keys[row]}"

    def close(self) -> None:
        """Close the files."""
        for part in self._parts.values():
            if part.descriptor >= 0:
                os.close(part.descriptor)
        self._parts.clear()

    def _open(self, root: str, shard: ShardInfo, modality: str) -> _Part:
        name = f"{self._split}/{shard_file(modality, shard.name)}"
        descriptor, index = self._index(root, name, shard.files[modality])
        if index.fault is not None or len(index.keys) != self._samples:
            reason = f": {index.fault}" if index.fault is not None else ""
            self._fault(f"{name} holds {len(index.keys)} of {self._samples} samples{reason}.")
        if modality == RGB:
            return _Part(name, descriptor, index, range(len(index.keys)))
        rgb = self._parts[RGB]
        if index.keys == rgb.index.keys:
            return _Part(name, descriptor, index, range(len(index.keys)))
        self._fault(_mismatch(name, index.keys, rgb.file, rgb.index.keys))
        row_of = {key: row for row, key in enumerate(index.keys)}
        rows = np.asarray([row_of.get(key, -1) for key in rgb.index.keys], np.int64)
        return _Part(name, descriptor, index, rows)

    def _index(self, root: str, name: str, expected: FileInfo) -> tuple[int, TarIndex]:
        try:
            descriptor = open_shard_file(root, name, expected)
        except (OSError, DataError) as error:
            self._fault(f"{name} of {root} cannot be read: {error}.")
            nothing = np.zeros((0, 2), np.int64)
            return -1, TarIndex((), (), nothing, nothing, None)
        return descriptor, index_tar(descriptor)

    def _fault(self, sentence: str) -> None:
        if self._strict:
            raise DataError(sentence)
        _log.warning("%s The images concerned are skipped.", sentence)


def _read(part: _Part, key: str, span: np.ndarray) -> bytearray:
    offset, size = span.tolist()
    content = bytearray(size)
    try:
        count = os.preadv(part.descriptor, [content], offset)
    except OSError as error:
        raise SampleError(
            f"{part.file}, key {key}: it cannot be read, {error.strerror}."
        ) from error
    if count != size:
        raise SampleError(f"{part.file}, key {key}: the file ends before byte {offset + size}.")
    return content


def _mismatch(name: str, keys: Sequence[str], rgb_name: str, rgb_keys: Sequence[str]) -> str:
    missing = [key for key in rgb_keys if key not in set(keys)]
    if missing:
        return f"{name} has no sample for key {missing[0]} ({len(missing)} keys missing)."
    for row, (own, rgb) in enumerate(zip(keys, rgb_keys, strict=False)):
        if own != rgb:
            return f"{name} has key {own} as sample {row} where {rgb_name} has key {rgb}."
    extra = keys[len(rgb_keys) :]
    return f"{name} has {len(extra)} keys more than {rgb_name}, first {extra[0]}."
