"""One shard with its sidecars opened in lock-step: samples by row, matched by key."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.errors import DataError, first_line
from datamodules.manifest import FileInfo, ShardInfo
from datamodules.modalities import shard_file
from datamodules.remote import open_shard_file
from datamodules.sample_record import MAX_RECORD_BYTES, parse_record
from datamodules.tar_index import NO_SAMPLES, TarIndex, index_tar

MAX_MEMBER_BYTES = 2**30
"""Bytes of a file in a shard, which is read into memory as a whole."""

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

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the samples that the leading tar holds."""
        return self._leader.index.keys

    @property
    def present(self) -> int:
        """Samples, from the first, that the leading tar holds."""
        return min(self._samples, len(self._leader.index.keys))

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
        content = _read(leader, key, leader.index.record[row], MAX_RECORD_BYTES)
        try:
            return key, parse_record(content)
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
            _close(part.descriptor)
        self._parts.clear()

    @property
    def _leader(self) -> _Part:
        return next(iter(self._parts.values()))

    def _open(self, root: str, shard: ShardInfo, modality: str) -> _Part:
        name = f"{self._split}/{shard_file(modality, shard.name)}"
        try:
            descriptor = open_shard_file(root, name, shard.files[modality])
        except (OSError, DataError) as error:
            self._fault(f"{name} of {root} cannot be read: {first_line(error).rstrip('.')}.")
            descriptor = -1
        try:
            index = index_tar(descriptor) if descriptor >= 0 else NO_SAMPLES
            self._check_count(name, descriptor, index, shard.files[modality])
            return _Part(name, descriptor, index, self._rows(name, index))
        except BaseException:
            _close(descriptor)
            raise

    def _check_count(self, name: str, descriptor: int, index: TarIndex, expected: FileInfo) -> None:
        if index.fault is None and len(index.keys) == self._samples:
            return
        reason = f": {index.fault}" if index.fault is not None else ""
        size = os.fstat(descriptor).st_size if descriptor >= 0 else expected.bytes
        if size != expected.bytes:
            reason += f" (it has {size} bytes, in the manifest {expected.bytes})"
        self._fault(f"{name} holds {len(index.keys)} of {self._samples} samples{reason}.")

    def _rows(self, name: str, index: TarIndex) -> Sequence[int] | np.ndarray:
        """Row of each sample of the leading modality in another one, -1 where it has none."""
        if not self._parts or index.keys == self._leader.index.keys:
            return range(len(index.keys))
        leader = self._leader
        self._fault(_mismatch(name, index.keys, leader.file, leader.index.keys))
        row_of = {key: row for row, key in enumerate(index.keys)}
        return np.asarray([row_of.get(key, -1) for key in leader.index.keys], np.int64)

    def _fault(self, sentence: str) -> None:
        if self._strict:
            raise DataError(sentence)
        _log.warning("%s The images concerned are skipped.", sentence)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _read(part: _Part, key: str, span: np.ndarray, most: int = MAX_MEMBER_BYTES) -> bytearray:
    offset, size = span.tolist()
    if size > most:
        raise SampleError(
            f"{part.file}, key {key}: a file of {size} bytes, at most {most} are read."
        )
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
    own_keys = set(keys)
    missing = [key for key in leader_keys if key not in own_keys]
    if missing:
        return f"{name} has no sample for key {missing[0]} ({len(missing)} keys missing)."
    for row, (own, expected) in enumerate(zip(keys, leader_keys, strict=False)):
        if own != expected:
            return f"{name} has key {own} as sample {row} where {leader_name} has key {expected}."
    if len(keys) < len(leader_keys):
        return f"{name} has {len(keys)} keys, {leader_name} {len(leader_keys)}, some of them twice."
    extra = keys[len(leader_keys) :]
    return f"{name} has {len(extra)} keys more than {leader_name}, first {extra[0]}."
