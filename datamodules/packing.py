"""A batch in one block of memory: shared between processes, or copied to a GPU at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from datamodules.schema import BatchT

ALIGNMENT = 128
"""Bytes; what a GPU reads in one transaction, and two lines of a CPU's cache."""


@dataclass(frozen=True)
class PackedBatch(Generic[BatchT]):
    """A batch whose tensors lie one after another in one block.

    Every tensor that is sent on its own costs a file and a connection between the processes,
    which for small images takes longer than decoding them; and a copy of its own to a GPU.

    outline  the batch on the meta device: keys, shapes, types, memory layout
    content  (bytes,) uint8, each tensor at a multiple of `ALIGNMENT`
    """

    outline: BatchT
    content: Tensor

    @staticmethod
    def empty(outline: BatchT, allocate: Callable[[int], Tensor]) -> PackedBatch[BatchT]:
        """One to be filled through the tensors of `unpack`.

        outline   of dense tensors
        allocate  gives a block (bytes,) uint8
        """
        return PackedBatch(outline, allocate(sum(map(_padded, outline.tensors()))))

    def unpack(self) -> BatchT:
        """Rebuild the batch; its tensors are views of the block."""
        end = 0

        def view(tensor: Tensor) -> Tensor:
            nonlocal end
            start, end = end, end + _padded(tensor)
            values = self.content[start : start + tensor.nbytes].view(tensor.dtype)
            return values.as_strided(tensor.shape, tensor.stride())

        return self.outline.map(view)


def pack(batch: BatchT) -> PackedBatch[BatchT]:
    """Copy the dense tensors of a batch into one block of shared memory."""
    packed = PackedBatch.empty(batch.to("meta"), _shared)
    for view, tensor in zip(packed.unpack().tensors(), batch.tensors(), strict=True):
        view.copy_(tensor)
    return packed


def _shared(size: int) -> Tensor:
    # Allocated in shared memory, as torch's own collate does, to be filled without another copy.
    content = torch.empty(0, dtype=torch.uint8)
    return content.set_(torch.UntypedStorage._new_shared(size)).resize_(size)


def _padded(tensor: Tensor) -> int:
    return -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
