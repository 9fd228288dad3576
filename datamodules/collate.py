"""Samples to a batch, and the shares of several workers to one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.schema import (
    Attributes,
    Batch,
    BatchT,
    Labelled,
    PixelRays,
    Sample,
    TokenBatch,
    TokenSample,
)
from renderers.cameras import Camera

SampleT = TypeVar("SampleT", bound=Labelled)
PartT = TypeVar("PartT")


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal size; images are channels-last in memory, as decoders deliver them.

    Raises DataError naming the key where some samples have a camera, rays, depth or a mask and
    others have none.
    """
    first = samples[0]
    image = torch.empty(
        (len(samples), *first.image.shape), dtype=torch.uint8, memory_format=torch.channels_last
    )
    for row, sample in zip(image, samples, strict=True):
        row.copy_(torch.from_numpy(sample.image))
    cameras = _all_or_none(samples, "camera", lambda sample: sample.camera)
    rays = _all_or_none(samples, "rays", lambda sample: sample.rays)
    depth = _all_or_none(samples, "depth", lambda sample: sample.depth)
    mask = _all_or_none(samples, "mask", lambda sample: sample.mask)
    return Batch(
        keys=tuple(sample.key for sample in samples),
        image=image,
        label=_labels(samples),
        depth=None if depth is None else _stack(depth),
        mask=None if mask is None else _stack(mask),
        camera=None if cameras is None else Camera(*map(_stack, zip(*cameras, strict=True))),
        attributes=_attributes(samples),
        rays=None if rays is None else PixelRays(*map(_stack, zip(*rays, strict=True))),
        disparity_unit=None if depth is None else _units(samples),
    )


def collate_tokens(samples: Sequence[TokenSample]) -> TokenBatch:
    """Stack samples of equally many tokens."""
    return TokenBatch(
        keys=tuple(sample.key for sample in samples),
        tokens=_stack([sample.tokens for sample in samples]),
        label=_labels(samples),
        attributes=_attributes(samples),
    )


def interleave(
    shares: Sequence[BatchT | None],
    first: int,
    empty: Callable[[BatchT], BatchT] | None = None,
) -> BatchT:
    """Merge the shares of W workers; image i of the batch is from worker (first + i) mod W.

    shares  by worker number, at least one not None
    empty   gives the memory of the batch for its outline on the meta device; by default tensors of
            their own, and what a single worker gave is not copied
    """
    workers = len(shares)
    owned = [(n, share) for n, share in enumerate(shares) if share is not None]
    if workers == 1 and empty is None:
        return owned[0][1]
    total = sum(len(share) for _, share in owned)
    slices = [slice((number - first) % workers, total, workers) for number, _ in owned]
    keys = np.empty(total, object)
    for rows, (_, share) in zip(slices, owned, strict=True):
        keys[rows] = share.keys
    outline = owned[0][1].map(lambda part: _empty_like(part, total, "meta"))
    merged = (empty or _on_its_own)(replace(outline, keys=tuple(keys)))
    columns = zip(*(share.tensors() for _, share in owned), strict=True)
    for whole, parts in zip(merged.tensors(), columns, strict=True):
        for rows, part in zip(slices, parts, strict=True):
            whole[rows] = part
    return merged


def _on_its_own(outline: BatchT) -> BatchT:
    return outline.map(lambda tensor: _empty_like(tensor, len(tensor), "cpu"))


def _empty_like(tensor: Tensor, rows: int, device: str) -> Tensor:
    shape = (rows, *tensor.shape[1:])
    return torch.empty_strided(shape, tensor.stride(), dtype=tensor.dtype, device=device)


def _labels(samples: Sequence[Labelled]) -> Tensor:
    return torch.tensor([sample.label for sample in samples], dtype=torch.int64)


def _units(samples: Sequence[Sample]) -> Tensor:
    return torch.tensor([sample.disparity_unit for sample in samples], dtype=torch.float32)


def _attributes(samples: Sequence[Labelled]) -> Attributes:
    semantics = _all_or_none(samples, "semantics", lambda sample: sample.semantics)
    return Attributes(
        size=_stack([sample.size for sample in samples]),
        time_of_day=torch.tensor([sample.time_of_day for sample in samples], dtype=torch.int64),
        semantics=None if semantics is None else _stack(semantics),
    )


def _all_or_none(
    samples: Sequence[SampleT], name: str, pick: Callable[[SampleT], PartT | None]
) -> list[PartT] | None:
    """A part of every sample, None if none has it; DataError naming the key if only some have."""
    found = [part for sample in samples if (part := pick(sample)) is not None]
    if not found:
        return None
    for sample in samples:
        if pick(sample) is None:
            raise DataError(f"key {sample.key} has no {name}, other images of its batch have.")
    return found


def _stack(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
