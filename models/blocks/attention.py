"""One attention entry point: xformers where a probe call works, else PyTorch's SDPA, also under
`torch.compile`, and the plain product for short sequences on a CPU."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SHORT = 256
"""Up to this many tokens on either side a CPU takes the plain product: SDPA's flash kernel needs 2
to 15 times as long for its backward pass there (bf16, torch 2.14)."""

Backend = Literal["xformers", "sdpa", "product"]

logger = logging.getLogger(__name__)


def attention(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """Softmax attention of tokens to tokens, on the fastest backend that works here.

    Args:
        query: (B, heads, T, d).
        key, value: (B, heads, T', d) of the same dtype and device; T' is T in self-attention.
        causal: token t sees tokens <= t only; T' must be T.

    Returns:
        (B, heads, T, d) in the dtype of `query`.

    Raises:
        ValueError: causal attention to another number of tokens.
    """
    tokens, seen = query.shape[2], key.shape[2]
    if causal and tokens != seen:
        raise ValueError(f"Causal attention of {tokens} tokens to {seen}: give as many of both.")
    if torch.compiler.is_compiling():  # a probe call would end the graph
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    short = max(tokens, seen) <= SHORT
    match attention_backend(query.device.type, query.dtype, short):
        case "product":
            return softmax_attention(query, key, value, causal)
        case "sdpa":
            return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        case "xformers":
            return _xformers_attention(query, key, value, causal)


def softmax_attention(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    """Attention as two matrix products, softmax(Q K^T / sqrt(d)) V; arguments as in `attention`."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if causal:
        tokens = scores.shape[-1]
        later = torch.ones(tokens, tokens, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1) @ value


@cache
def attention_backend(device_type: str, dtype: torch.dtype, short: bool = False) -> Backend:
    """Choose the backend for a device, a dtype and the length, logging the choice once.

    xformers is chosen only when a real forward and backward call succeeds: its wheels import
    on machines for which they hold no operator, and builds for another torch fail at the call.
    """
    if short and device_type == "cpu":
        logger.info("attention on cpu in %s: product (at most %d tokens)", dtype, SHORT)
        return "product"
    backend: Backend
    try:
        probe = torch.zeros(1, 1, 8, 32, device=device_type, dtype=dtype, requires_grad=True)
        with torch.enable_grad(), _quiet("xformers"):
            _xformers_attention(probe, probe, probe, True).sum().backward()
        backend, why = "xformers", "its probe call works"
    except Exception as error:
        backend, why = "sdpa", f"xformers: {type(error).__name__}"
    logger.info("attention on %s in %s: %s (%s)", device_type, dtype, backend, why)
    return backend


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Hold back a library's own warnings: the choice is said once, by `attention_backend`."""
    library = logging.getLogger(name)
    level = library.level
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.setLevel(level)


def _xformers_attention(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    from xformers.ops import LowerTriangularMask, memory_efficient_attention

    tokens_first = [x.transpose(1, 2) for x in (query, key, value)]  # (B, T, heads, d)
    bias = LowerTriangularMask() if causal else None
    return memory_efficient_attention(*tokens_first, attn_bias=bias).transpose(1, 2)
