"""Send a batch from a worker to the main process as one block of shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from datamodules.schema import BatchT

_ALIGNMENT = 16


@dataclass(frozen=True)
class PackedBatch(Generic[BatchT]):
    """A batch whose tensors lie one after another in one block.

    Every tensor that is sent on its own costs a file and a connection between the processes,
    which for small images takes longer than decoding them.

    outline  the batch on the meta device: keys, shapes, types, memory layout
    content  (bytes,) uint8 in shared memory
    """

    outline: BatchT
    content: Tensor

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
    tensors = batch.tensors()
    size = sum(_padded(tensor) for tensor in tensors)
    # Allocated in shared memory, as torch's own collate does, to be filled without another copy.
    content = torch.empty(0, dtype=torch.uint8)
    content.set_(torch.UntypedStorage._new_shared(size)).resize_(size)
    end = 0
    for tensor in tensors:
        start, end = end, end + _padded(tensor)
        values = content[start : start + tensor.nbytes].view(tensor.dtype)
        values.as_strided(tensor.shape, tensor.stride()).copy_(tensor)
    return PackedBatch(batch.to("meta"), content)


def _padded(tensor: Tensor) -> int:
    return -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
