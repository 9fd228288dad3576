"""Samples to a batch, and the shares of several workers to one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from datamodules.schema import Attributes, Batch, BatchT, Labelled, Sample, TokenBatch, TokenSample
from renderers.cameras import Camera

SampleT = TypeVar("SampleT")


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal size; images are channels-last in memory, as decoders deliver them."""
    first = samples[0]
    image = torch.empty(
        (len(samples), *first.image.shape), dtype=torch.uint8, memory_format=torch.channels_last
    )
    for row, sample in zip(image, samples, strict=True):
        row.copy_(torch.from_numpy(sample.image))
    camera = None
    if first.cam2world is not None and first.intrinsics is not None:
        camera = Camera(
            _stack(samples, lambda sample: sample.cam2world),
            _stack(samples, lambda sample: sample.intrinsics),
        )
    return Batch(
        keys=tuple(sample.key for sample in samples),
        image=image,
        label=_labels(samples),
        depth=None if first.depth is None else _stack(samples, lambda sample: sample.depth),
        mask=None if first.mask is None else _stack(samples, lambda sample: sample.mask),
        camera=camera,
        attributes=_attributes(samples),
    )


def collate_tokens(samples: Sequence[TokenSample]) -> TokenBatch:
    """Stack samples of equally many tokens."""
    return TokenBatch(
        keys=tuple(sample.key for sample in samples),
        tokens=_stack(samples, lambda sample: sample.tokens),
        label=_labels(samples),
        attributes=_attributes(samples),
    )


def interleave(shares: Sequence[BatchT | None], first: int) -> BatchT:
    """Merge the shares of W workers; image i of the batch is from worker (first + i) mod W.

    shares  by worker number, at least one not None
    """
    workers = len(shares)
    owned = [(n, share) for n, share in enumerate(shares) if share is not None]
    if workers == 1:
        return owned[0][1]
    total = sum(len(share) for _, share in owned)
    slices = [slice((number - first) % workers, total, workers) for number, _ in owned]
    keys = np.empty(total, object)
    for rows, (_, share) in zip(slices, owned, strict=True):
        keys[rows] = share.keys

    def merge(parts: Sequence[Tensor]) -> Tensor:
        like = parts[0]
        merged = torch.empty_strided(
            (total, *like.shape[1:]), like.stride(), dtype=like.dtype, device=like.device
        )
        for rows, part in zip(slices, parts, strict=True):
            merged[rows] = part
        return merged

    columns = iter(list(zip(*(share.tensors() for _, share in owned), strict=True)))
    merged = owned[0][1].map(lambda _: merge(next(columns)))
    return replace(merged, keys=tuple(keys))


def _labels(samples: Sequence[Labelled]) -> Tensor:
    return torch.tensor([sample.label for sample in samples], dtype=torch.int64)


def _attributes(samples: Sequence[Labelled]) -> Attributes:
    loaded = samples[0].semantics is not None
    return Attributes(
        size=_stack(samples, lambda sample: sample.size),
        time_of_day=torch.tensor([sample.time_of_day for sample in samples], dtype=torch.int64),
        semantics=_stack(samples, lambda sample: sample.semantics) if loaded else None,
    )


def _stack(samples: Sequence[SampleT], pick: Callable[[SampleT], np.ndarray | None]) -> Tensor:
    return torch.from_numpy(np.stack([value for s in samples if (value := pick(s)) is not None]))
