"""Batches on their way to a GPU: one page-locked block and one copy each, while it computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from datamodules.collate import interleave
from datamodules.packing import PackedBatch
from datamodules.schema import BatchT


@dataclass(frozen=True)
class Moving(Generic[BatchT]):
    """A batch whose copy to a GPU has been started.

    batch   views of the block on the GPU
    block   (bytes,) uint8, which is the copy's
    copied  happens when the copy is done
    """

    batch: BatchT
    block: Tensor
    copied: torch.cuda.Event

    def received(self) -> BatchT:
        """The batch for what this thread has the GPU compute from now on, which waits for the copy;
        the thread does not."""
        computing = torch.cuda.current_stream(self.block.device)
        computing.wait_event(self.copied)
        # Allocated for the stream of the copy, which must not reuse it before it was read here.
        self.block.record_stream(computing)
        return self.batch


class Mover:
    """Starts copies of batches to a GPU on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def start(self, shares: Sequence[BatchT | None], first: int) -> Moving[BatchT]:
        """Merge shares as `interleave` does, in one block, and start its copy."""
        packed: list[PackedBatch[BatchT]] = []

        def empty(outline: BatchT) -> BatchT:
            packed.append(PackedBatch.empty(outline, _pinned))
            return packed[0].unpack()

        with torch.cuda.stream(self._stream):
            interleave(shares, first, empty)
            # Torch keeps a page-locked block from other use until it is copied.
            block = packed[0].content.to(self._device, non_blocking=True)
            copied = self._stream.record_event()
        return Moving(PackedBatch(packed[0].outline, block).unpack(), block, copied)


def mover_to(device: torch.device | str) -> Mover | None:
    """What moves batches to a device; None where they are used as they are, or moved by others."""
    device = torch.device(device)
    return Mover(device) if device.type == "cuda" else None


def _pinned(size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, pin_memory=True)
