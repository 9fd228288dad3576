"""A causal transformer one token at a time, keys and values of all earlier tokens kept.

A step reads every weight and the filled part of the cache once; the products themselves are few.
So both are stored in the type asked for, and all that a step writes lies in storage that stays: on
a CPU `small_products` reads at the memory's speed, on a GPU steps can be recorded and replayed.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.small_products import (
    Ending,
    SmallLinear,
    prepared_attention,
    room,
)
from models.blocks.vit import TransformerBlock
from models.priors.transformer import PriorTransformer
from renderers.dispatch import fast_path

WARM_UP = 3
"""Steps that run before one is recorded, in which libraries set up what can't be recorded."""


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
        shape = (size.depth, 2, batch, size.heads, length, size.width // size.heads)
        self.cache = torch.zeros(shape, dtype=dtype, device=device)  # (L, 2, B, heads, T, d)
        self.length, self.filled = length, 0
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        build = _kernel_steps if fast_path(self.cache) else _plain_steps
        self._run = build(transformer, head, self.cache, self.position)

    def step(self, x: Tensor) -> Tensor:
        """Logits (B, K) float32 after the tokens x (B, D), in storage that the next step fills.

        Raises ValueError when the cache is full.
        """
        if self.filled == self.length:
            raise ValueError(f"The cache holds {self.length} tokens and is full.")
        logits = self._run(x.float())
        self.filled += 1
        self.position.add_(1)  # not from the host: it is read where the step runs
        return logits


def _blocks(transformer: PriorTransformer) -> list[TransformerBlock]:
    return [cast(TransformerBlock, block) for block in transformer.blocks]


def _mlp(block: TransformerBlock) -> tuple[nn.Linear, nn.Linear]:
    first, _, second = block.mlp
    return cast(nn.Linear, first), cast(nn.Linear, second)


def _kernel_steps(
    transformer: PriorTransformer, head: nn.Linear, cache: Tensor, position: Tensor
) -> Callable[[Tensor], Tensor]:
    """A step on the kernels of the CPU."""
    batch, width, dtype = cache.shape[2], transformer.size.width, cache.dtype
    hidden = _mlp(_blocks(transformer)[0])[0].out_features
    x, mixed = room(batch, width), room(batch, width)
    qkv, wide, logits = (room(batch, n) for n in (3 * width, hidden, head.out_features))
    launches = []
    for block, stored in zip(_blocks(transformer), cache, strict=True):
        first, second = _mlp(block)
        layers = (block.attention.qkv, block.attention.out, first, second)
        to_qkv, out, expand, shrink = (SmallLinear(layer, dtype) for layer in layers)
        launches += [
            to_qkv.prepared(x, qkv, block.norm_attention),
            prepared_attention(qkv, stored, position, mixed),
            out.prepared(mixed, x, ending=Ending.ADDED),
            expand.prepared(x, wide, block.norm_mlp, Ending.GELU),
            shrink.prepared(wide, x, ending=Ending.ADDED),
        ]
    launches.append(SmallLinear(head, dtype).prepared(x, logits, transformer.norm))
    start, end = x[:batch, :width], logits[:batch, : head.out_features]

    def run(tokens: Tensor) -> Tensor:
        start.copy_(tokens)
        for launch in launches:
            launch()
        return end

    return run


def _plain_steps(
    transformer: PriorTransformer, head: nn.Linear, cache: Tensor, position: Tensor
) -> Callable[[Tensor], Tensor]:
    """A step on PyTorch's operations; attention looks at all the storage, what is not filled
    masked, so that every step has the same shapes."""
    blocks = [_PlainBlock(block, cache.dtype) for block in _blocks(transformer)]
    norm, to_logits = transformer.norm, _stored(head, cache.dtype)
    places = torch.arange(cache.shape[4], device=cache.device)

    def run(x: Tensor) -> Tensor:
        seen = (places <= position)[None, None, None]  # (1, 1, 1, T)
        for block, (keys, values) in zip(blocks, cache, strict=True):
            x = block.step(x, keys, values, position, seen)
        return to_logits(norm(x))

    return run


def _stored(layer: nn.Linear, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A linear layer of float32 whose weights are a copy in another type."""
    weight, bias = layer.weight.detach().to(dtype, copy=True), layer.bias.detach().float().clone()
    return lambda x: F.linear(x.to(dtype), weight).float() + bias


class _PlainBlock:
    """One `TransformerBlock` on single tokens."""

    def __init__(self, block: TransformerBlock, dtype: torch.dtype) -> None:
        self.norm_attention, self.norm_mlp = block.norm_attention, block.norm_mlp
        self.heads = block.attention.heads
        layers = (block.attention.qkv, block.attention.out, *_mlp(block))
        self.qkv, self.out, self.expand, self.shrink = (_stored(layer, dtype) for layer in layers)

    def step(
        self, x: Tensor, keys: Tensor, values: Tensor, position: Tensor, seen: Tensor
    ) -> Tensor:
        """Outputs (B, D) of inputs (B, D); keys, values (B, heads, T, d) are filled at position
        (1,)."""
        parts = self.qkv(self.norm_attention(x)).to(keys.dtype).unflatten(1, (3, self.heads, 1, -1))
        query, key, value = parts.unbind(1)  # (B, heads, 1, d) each
        keys.index_copy_(2, position, key)
        values.index_copy_(2, position, value)
        mixed = F.scaled_dot_product_attention(query, keys, values, seen)
        x = x + self.out(mixed.flatten(1).float())
        return x + self.shrink(F.gelu(self.expand(self.norm_mlp(x))))


def repeat(step: Callable[[], None], times: int, device: torch.device) -> None:
    """Call `step` so many times; on a CUDA device it is recorded once as a graph, and replayed.

    step: reads and writes storage that stays, and reads nothing back to the host.
    """
    by_hand = min(times, WARM_UP) if device.type == "cuda" else times
    if by_hand == times:
        for _ in range(times):
            step()
        return
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(by_hand):
            step()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()  # recorded, not run
    for _ in range(times - by_hand):
        graph.replay()
