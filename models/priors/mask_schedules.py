"""Numbers of masked tokens, as training and decoding of a masked prior go on."""

import math
from typing import Literal

import torch
from torch import Tensor

MaskSchedule = Literal["cosine", "linear", "arccos"]


def masked_share(progress: float, schedule: MaskSchedule) -> float:
    """`masked_shares` of one number."""
    return float(masked_shares(torch.tensor(progress, dtype=torch.float64), schedule))


def masked_shares(progress: Tensor, schedule: MaskSchedule) -> Tensor:
    """Shares of tokens still masked at `progress` in [0, 1], any shape: from 1 down to 0.

    cosine: cos(pi r / 2), MaskGIT's (arXiv 2202.04200, section 3.3); linear: 1 - r; arccos:
    2 / pi arccos(r). Cosine decodes few tokens at first and many at the end, arccos the other way.
    """
    match schedule:
        case "cosine":
            return torch.cos(math.pi / 2 * progress)
        case "linear":
            return 1 - progress
        case "arccos":
            return torch.acos(progress) * 2 / math.pi


def random_mask(counts: Tensor, tokens: int, rng: torch.Generator) -> Tensor:
    """Masks (B, T) bool with counts (B,) of the T tokens masked, all subsets alike."""
    scores = torch.rand(len(counts), tokens, generator=rng, device=rng.device)
    ranks = scores.argsort(1).argsort(1)
    return ranks.to(counts.device) < counts[:, None]


def training_counts(
    batch: int, tokens: int, schedule: MaskSchedule, rng: torch.Generator
) -> Tensor:
    """Numbers of tokens (B,) to mask, at least 1: the schedule's share at uniform progress.

    MaskGIT's published settings keep the share above a half; here small ones are trained as well,
    since edits leave most tokens known.
    """
    shares = masked_shares(even_progress(batch, rng).double(), schedule)
    return (tokens * shares).ceil().long().clamp(1, tokens)


def uniform_counts(batch: int, tokens: int, rng: torch.Generator) -> Tensor:
    """Numbers of tokens (B,) to mask, each of 1 to T equally likely."""
    return (even_progress(batch, rng) * tokens).long().clamp(max=tokens - 1) + 1


def even_progress(batch: int, rng: torch.Generator) -> Tensor:
    """Numbers (B,) uniform in [0, 1), one in each of B equal parts, in random order, so that means
    over a batch vary little."""
    offsets = torch.rand(batch, generator=rng, device=rng.device)
    parts = torch.randperm(batch, generator=rng, device=rng.device)
    return (parts + offsets) / batch
