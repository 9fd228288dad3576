"""A causal transformer one token at a time, keys and values of all earlier tokens kept.

A step reads every weight and the filled part of the cache once; the products themselves are few.
So both are stored in the type asked for, and `small_products` reads them at the memory's speed.
"""

from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from models.blocks.small_products import SmallLinear, attend_cached
from models.blocks.vit import TransformerBlock
from models.priors.transformer import PriorTransformer


class CachedDecoder:
    """Runs a transformer and its head on one more token of B sequences at each call.

    Args:
        transformer, head: their weights are copied into storage of `dtype`.
        batch: B.
        length: most tokens of a sequence; keys and values are allocated for so many.
        dtype: of stored weights, keys and values; everything between is float32.
    """

    def __init__(
        self,
        transformer: PriorTransformer,
        head: nn.Linear,
        batch: int,
        length: int,
        dtype: torch.dtype,
    ) -> None:
        size, device = transformer.size, head.weight.device
        blocks = [cast(TransformerBlock, block) for block in transformer.blocks]
        self.blocks = [_CachedBlock(block, dtype) for block in blocks]
        self.norm, self.head = transformer.norm, SmallLinear(head, dtype)
        shape = (size.depth, 2, batch, size.heads, length, size.width // size.heads)
        self.cache = torch.zeros(shape, dtype=dtype, device=device)  # (L, 2, B, heads, T, d)
        self.length, self.filled = length, 0

    def step(self, x: Tensor) -> Tensor:
        """Logits (B, K) float32 after the tokens x (B, D).

        Raises ValueError when the cache is full.
        """
        if self.filled == self.length:
            raise ValueError(f"The cache holds {self.length} tokens and is full.")
        x = x.float()
        for block, (keys, values) in zip(self.blocks, self.cache, strict=True):
            x = block.step(x, keys, values, self.filled)
        self.filled += 1
        return self.head(self.norm(x))


class _CachedBlock:
    """One `TransformerBlock` on single tokens."""

    def __init__(self, block: TransformerBlock, dtype: torch.dtype) -> None:
        self.norm_attention, self.norm_mlp = block.norm_attention, block.norm_mlp
        self.heads = block.attention.heads
        self.qkv = SmallLinear(block.attention.qkv, dtype)
        self.out = SmallLinear(block.attention.out, dtype)
        first, _, second = block.mlp
        self.expand, self.shrink = (
            SmallLinear(cast(nn.Linear, layer), dtype) for layer in (first, second)
        )

    def step(self, x: Tensor, keys: Tensor, values: Tensor, position: int) -> Tensor:
        """Outputs (B, D) of inputs (B, D); keys, values (B, heads, T, d) are filled at position."""
        query, key, value = rearrange(
            self.qkv(self.norm_attention(x)),
            "b (three h d) -> three b h d",
            three=3,
            h=self.heads,
        )
        keys[:, :, position], values[:, :, position] = key, value
        mixed = attend_cached(query, keys, values, position + 1)  # (B, heads, d)
        x = x + self.out(mixed.flatten(1))
        return x + self.shrink(F.gelu(self.expand(self.norm_mlp(x))))
