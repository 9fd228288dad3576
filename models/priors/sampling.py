"""Tokens drawn from a prior's logits: temperature, top-k, top-p, guidance, random numbers.

Samples draw from generators of their own, so a sample depends on its seed and conditions alone,
never on what else is in its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from renderers.ranges import check_number


@dataclass(frozen=True)
class TokenSampling:
    """Settings of drawing tokens from logits.

    temperature: divides the logits; 0 takes the most probable token. top_k: only the k most
    probable, 0 for all. top_p: only the fewest that hold this share of the probability.
    guidance: 1 draws from p(x | c), larger ones move along the way from the unconditional logits
    to the conditional ones (classifier-free guidance, arXiv 2207.12598); 1 costs half.

    Raises ValueError for a value outside its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 1.0

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0)
        check_number("top_k", self.top_k, 0)
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}, it must be above 0 and at most 1.")
        check_number("guidance", self.guidance, 0)

    @property
    def guided(self) -> bool:
        """True if unconditional logits are needed too."""
        return self.guidance != 1


class SampleNoise:
    """Uniform numbers for B samples, each from a generator seeded by its own number."""

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        # On the CPU, so that a seed means the same scene on every device.
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def __len__(self) -> int:
        """Number of samples B."""
        return len(self._generators)

    def uniform(self, *shape: int) -> Tensor:
        """The next numbers of every sample, (B, *shape) float32 in [0, 1)."""
        rows = [torch.rand(shape, generator=generator) for generator in self._generators]
        return torch.stack(rows).to(self.device)


def guide(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Logits moved from unconditional to conditional ones, `guidance` times the way."""
    return torch.lerp(unconditional, conditional, guidance)


def filtered_probabilities(logits: Tensor, sampling: TokenSampling) -> Tensor:
    """Probabilities (..., K) float32 after temperature, top-k and top-p, in this order.

    The most probable code always stays; with temperature 0 it alone does.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, best, 1.0)
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest = logits.topk(sampling.top_k).values[..., -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    probabilities = logits.softmax(-1)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(-1, descending=True)
        before = ordered.cumsum(-1) - ordered  # share held by more probable codes
        dropped = (before >= sampling.top_p).scatter(-1, order, before >= sampling.top_p)
        probabilities = probabilities.masked_fill(dropped, 0.0)
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    return probabilities


def draw_tokens(logits: Tensor, sampling: TokenSampling, uniform: Tensor) -> Tensor:
    """Tokens (...) int64 from logits (..., K), by inverting the cumulative distribution.

    Args:
        uniform: (...) in [0, 1), one number a token.
    """
    ends = filtered_probabilities(logits, sampling).cumsum(-1)
    # Below the total that rounding made of 1: the first end beyond has a probability above 0.
    total = ends[..., -1:]
    target = (uniform[..., None] * total).minimum(total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(ends, target, right=True)[..., 0]
