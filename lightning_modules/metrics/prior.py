"""Figures of a prior over a validation set, the same on every rank."""

import math

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from models.priors.token_prior import PriorScores


class PriorMetrics(Metric):
    """Bits per token and accuracy, and the bits that the frequencies of codes alone would cost.

    Computes `bits_per_token`, the mean negative log-likelihood; `accuracy`, the share of tokens
    whose code is the most probable one; `unigram_bits_per_token`, the entropy of the codes in these
    very tokens, the least that a model which knows neither place nor context can reach.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.bits, self.accuracy = MeanMetric(), MeanMetric()
        self.add_state("counts", torch.zeros(codes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, scores: PriorScores, tokens: Tensor) -> None:
        """Take in the scores of tokens (B, T)."""
        self.bits.update(scores.nll / math.log(2))
        self.accuracy.update(scores.accuracy)
        self.counts += torch.bincount(tokens.flatten(), minlength=len(self.counts))

    def compute(self) -> dict[str, Tensor]:
        """The figures so far, by name."""
        share = self.counts.double() / self.counts.sum().clamp(min=1)
        entropy = -torch.special.xlogy(share, share).sum() / math.log(2)
        return {
            "bits_per_token": self.bits.compute(),
            "accuracy": self.accuracy.compute(),
            "unigram_bits_per_token": entropy.float(),
        }

    def reset(self) -> None:
        """Forget everything, at the start of a validation."""
        super().reset()
        self.bits.reset()
        self.accuracy.reset()
