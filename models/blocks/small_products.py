"""Products of few rows with stored weights and keys, where reading the storage is the cost.

They run on the kernels of `small_products_kernel` and `cached_attention_kernel`, on a CPU, in
storage that stays: a product is prepared once and then run for every token.
"""

from __future__ import annotations

from enum import IntEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renderers.cpu.openmp import Launch, thread_count
from renderers.dispatch import kernels

KERNELS = "models.blocks.cpu.small_products_kernel"
ATTENTION_KERNEL = "models.blocks.cpu.cached_attention_kernel"


class Ending(IntEnum):
    """What becomes of a product: it is stored, its GELU is, or it is added to what is there."""

    STORED = 0
    GELU = 1
    ADDED = 2


def row_groups(rows: int) -> tuple[int, int]:
    """Into how many groups of how many rows a product of `rows` is cut, the last with rows of
    zeros: 1, 2, 4 or 8, for which there are kernels."""
    size = min(kernels(KERNELS).MOST_ROWS, 1 << (rows - 1).bit_length())
    return -(-rows // size), size


def room(rows: int, columns: int) -> Tensor:
    """Zeros (R, C) float32 for a factor or a result of `rows` x `columns`, both rounded up to what
    kernels read and write."""
    groups, size = row_groups(rows)
    width = kernels(KERNELS).COLUMNS
    return torch.zeros(groups * size, -(-columns // width) * width)


class SmallLinear:
    """A linear layer for few rows of float32.

    Args:
        layer: its weights are copied.
        dtype: of the stored weights, float32 or bfloat16.
    """

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        weight, width = layer.weight.detach().to(dtype), kernels(KERNELS).COLUMNS
        self.columns, self.depth = weight.shape
        missing = -self.columns % width
        padded = F.pad(weight, (0, 0, 0, missing)).unflatten(0, (-1, width))
        # (panels, in, COLUMNS): a panel of columns is read from its start to its end.
        self.weight = padded.transpose(1, 2).contiguous()
        self.bias = F.pad(layer.bias.detach().float(), (0, missing))

    def prepared(
        self, x: Tensor, out: Tensor, norm: nn.LayerNorm | None = None, ending: int = Ending.STORED
    ) -> Launch:
        """The layer's product with x (R, >= in), after a layer norm if there is one, to be written
        to out (R, >= out), both from `room`.

        The launch reads the norm's weights as they are then.
        """
        rows, panels = x.shape[0], len(self.weight)
        groups, size = row_groups(rows)
        kept: list[Tensor] = [x, out, self.weight, self.bias]
        addresses = [0, 0, 0, 0]
        if norm is not None:
            normalised = torch.empty(thread_count(panels), rows, self.depth)
            parts = [norm.weight.detach(), norm.bias.detach(), torch.tensor(norm.eps), normalised]
            parts = [part.float().contiguous() for part in parts]
            kept, addresses = kept + parts, [part.data_ptr() for part in parts]
        return Launch(
            kernels(KERNELS).linear_kernel(self.weight.itemsize, size, int(ending)),
            panels,
            groups,
            self.depth,
            x.data_ptr(),
            x.stride(0),
            self.weight.data_ptr(),
            self.bias.data_ptr(),
            out.data_ptr(),
            out.stride(0),
            *addresses,
            kept=kept,
        )


def prepared_attention(qkv: Tensor, cache: Tensor, position: Tensor, out: Tensor) -> Launch:
    """Attention of one token of each sample to all up to itself.

    Its key and value are stored at its position first.

    Args:
        qkv: (R, >= 3 D) float32: query, key and value in this order, each by heads; D = heads d.
        cache: (2, B, heads, T, d), float32 or bfloat16: keys and values, contiguous; R >= B.
        position: (1,) int64 in [0, T), read when the launch runs.
        out: (R, >= D) float32.
    """
    _, batch, heads, tokens, channels = cache.shape
    units = batch * heads
    width = -(-tokens // 16) * 16
    scores = torch.empty(thread_count(units), width)
    keys, values = cache.unbind(0)
    return Launch(
        kernels(ATTENTION_KERNEL).attention_kernel(channels, cache.itemsize),
        units,
        heads,
        tokens,
        position.data_ptr(),
        qkv.data_ptr(),
        qkv.stride(0),
        keys.data_ptr(),
        values.data_ptr(),
        out.data_ptr(),
        out.stride(0),
        scores.data_ptr(),
        width,
        kept=[qkv, cache, position, out, scores],
    )
