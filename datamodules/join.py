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
from datamodules.modalities import shard_file
from datamodules.remote import open_shard_file
from datamodules.tar_index import TarIndex, index_tar

_log = logging.getLogger(__name__)


class SampleError(DataError):
    """One image cannot be used; the sentence names the shard, the key and what is wrong."""


@dataclass(frozen=True)
class RawSample:
    """One sample and its sidecars as compressed bytes, writable so that decoders take no copy.

    payload   what the leading modality holds beside the json, with its file extension
    sidecars  bytes by modality, only the requested ones
    record    the parsed ``.json``, empty if there is none
    """

    key: str
    extension: str
    payload: bytearray
    record: Mapping[str, Any]
    sidecars: Mapping[str, bytearray]


@dataclass(frozen=True)
class _Part:
    """One modality of a shard: its open file, its index, and the row of each sample in it."""

    file: str
    descriptor: int
    index: TarIndex
    rows: Sequence[int] | np.ndarray


class JoinedShard:
    """Random access to the samples of one shard.

    The first of the modalities leads: its tar gives the keys, their order and the json records.
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
            for modality in modalities:
                self._parts[modality] = self._open(root, shard, modality)
        except BaseException:
            self.close()
            raise

    def read(self, row: int) -> RawSample:
        """Read one sample; SampleError when a part of it is missing."""
        leader = self._leader
        key, record = self.record(row)
        sidecars = {}
        for modality, part in self._parts.items():
            if part is leader:
                continue
            own_row = int(part.rows[row])
            if own_row < 0:
                raise SampleError(f"{part.file} has no {modality} for key {key}.")
            sidecars[modality] = _read(part, key, part.index.payload[own_row])
        payload = _read(leader, key, leader.index.payload[row])
        return RawSample(key, leader.index.extensions[row], payload, record, sidecars)

    def record(self, row: int) -> tuple[str, Mapping[str, Any]]:
        """Key and json record of one sample, {} if it has none; SampleError when unreadable."""
        leader = self._leader
        if row >= len(leader.index.keys):
            raise SampleError(f"{leader.file} has no sample {row} of {self._samples}.")
        key = leader.index.keys[row]
        content = _read(leader, key, leader.index.record[row])
        try:
            return key, json.loads(content) if content else {}
        except ValueError as error:
            raise SampleError(
                f"{leader.file}, key {key}: the json is unreadable, {error}."
            ) from error

    def describe(self, row: int) -> str:
        """File and key of a row, to open an error message with."""
        return f"{self._leader.file}, key {self._leader.index.keys[row]}"

    def close(self) -> None:
        """Close the files."""
        for part in self._parts.values():
            if part.descriptor >= 0:
                os.close(part.descriptor)
        self._parts.clear()

    @property
    def _leader(self) -> _Part:
        return next(iter(self._parts.values()))

    def _open(self, root: str, shard: ShardInfo, modality: str) -> _Part:
        name = f"{self._split}/{shard_file(modality, shard.name)}"
        descriptor, index = self._index(root, name, shard.files[modality])
        if index.fault is not None or len(index.keys) != self._samples:
            reason = f": {index.fault}" if index.fault is not None else ""
            self._fault(f"{name} holds {len(index.keys)} of {self._samples} samples{reason}.")
        if not self._parts or index.keys == self._leader.index.keys:
            return _Part(name, descriptor, index, range(len(index.keys)))
        leader = self._leader
        self._fault(_mismatch(name, index.keys, leader.file, leader.index.keys))
        row_of = {key: row for row, key in enumerate(index.keys)}
        rows = np.asarray([row_of.get(key, -1) for key in leader.index.keys], np.int64)
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


def _mismatch(name: str, keys: Sequence[str], leader_name: str, leader_keys: Sequence[str]) -> str:
    missing = [key for key in leader_keys if key not in set(keys)]
    if missing:
        return f"{name} has no sample for key {missing[0]} ({len(missing)} keys missing)."
    for row, (own, expected) in enumerate(zip(keys, leader_keys, strict=False)):
        if own != expected:
            return f"{name} has key {own} as sample {row} where {leader_name} has key {expected}."
    extra = keys[len(leader_keys) :]
    return f"{name} has {len(extra)} keys more than {leader_name}, first {extra[0]}."
