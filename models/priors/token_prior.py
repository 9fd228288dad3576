"""Base of the autoregressive and the masked prior: embeddings, transformer, head, and methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.token_layout import TokenLayout, TokenPositions
from models.blocks.vit import ViTSize
from models.limits import MOST_CODES
from models.priors.conditions import ConditionKinds, Conditions, ConditionTokens
from models.priors.sampling import SampleNoise, TokenSampling
from models.priors.transformer import PriorTransformer
from models.recipe import Recipe
from renderers.ranges import check_number

EMBEDDING_STD = 0.5
"""Spread of the initial token embeddings."""

TO_SAMPLE = -1
"""In tokens given to `generate`: one to be drawn."""


@dataclass(frozen=True)
class PriorLoss:
    """Result of a training step: loss () as it is minimised, and, over the tokens that were
    predicted, nll () in nats per token and accuracy () in [0, 1]."""

    loss: Tensor
    nll: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class PriorScores:
    """Scores of a prior on given samples: nll (B,) in nats per token, accuracy (B,)."""

    nll: Tensor
    accuracy: Tensor


class TokenPrior(nn.Module, ABC):
    """A distribution over the T tokens of a scene, given conditions.

    Parameters are read through `forward` alone while training, so that FSDP2's hooks see it.

    Args:
        codes: K of the codebook.
        layout: where the tokens lie.
        size: of the transformer.
        kinds: conditions it takes.
        dropout: share of channels zeroed in every branch while training.
        label_smoothing: share of the target spread over all codes while training.
        checkpointing: see `PriorTransformer`.
        causal: whether tokens see none after them.
        symbols: rows of the embedding, `codes` and what else can stand at a position.

    Raises ValueError for a number outside its range.
    """

    def __init__(
        self,
        codes: int,
        layout: TokenLayout,
        size: ViTSize,
        kinds: ConditionKinds,
        dropout: float,
        label_smoothing: float,
        checkpointing: bool,
        *,
        causal: bool,
        symbols: int,
    ) -> None:
        super().__init__()
        check_number("model.prior.codes", codes, 1, MOST_CODES)
        check_number("model.prior.dropout", dropout, 0, 1)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"model.prior.label_smoothing is {label_smoothing}, it must be at least 0 and "
                "below 1."
            )
        self.codes, self.layout, self.kinds = codes, layout, kinds
        self.label_smoothing = label_smoothing
        self.embed = nn.Embedding(symbols, size.width)
        nn.init.normal_(self.embed.weight, std=EMBEDDING_STD)
        self.positions = TokenPositions(layout, size.width)
        self.prefix = ConditionTokens(kinds, size.width)
        self.transformer = PriorTransformer(size, causal, dropout, checkpointing)
        self.head = nn.Linear(size.width, codes)

    @abstractmethod
    def forward(self, tokens: Tensor, conditions: Conditions) -> Tensor:
        """Logits (B, T, K) of every token, from tokens (B, T)."""

    @abstractmethod
    def training_loss(
        self, tokens: Tensor, conditions: Conditions, rng: torch.Generator
    ) -> PriorLoss:
        """Loss of a training step on tokens (B, T)."""

    @abstractmethod
    def scores(self, tokens: Tensor, conditions: Conditions, rng: torch.Generator) -> PriorScores:
        """Negative log-likelihood and accuracy on tokens (B, T)."""

    @abstractmethod
    def generate(
        self,
        conditions: Conditions,
        noise: SampleNoise,
        sampling: TokenSampling,
        given: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw tokens (B, T); those of `given` (B, T) that are not `TO_SAMPLE` are kept."""

    def recipe(self) -> Recipe:
        """Class and arguments to build this prior again; see `models.recipe`."""
        # Not `type(self)`: FSDP2 gives a divided module a class of its own, derived from ours.
        kind = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("models."))
        return {
            "class_path": f"{kind.__module__}.{kind.__qualname__}",
            "init_args": {
                "codes": self.codes,
                "layout": asdict(self.layout),
                "size": asdict(self.transformer.size),
                "kinds": asdict(self.kinds),
                "dropout": self.transformer.dropout,
                "label_smoothing": self.label_smoothing,
                "checkpointing": self.transformer.checkpointing,
            },
        }

    def embedded(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T) with their positions as vectors (B, T, D)."""
        return self.embed(tokens) + self.positions()


def token_nll(logits: Tensor, tokens: Tensor) -> Tensor:
    """Negative log-likelihood (B, T) float32 in nats of tokens (B, T) under logits (B, T, K)."""
    losses = F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(), reduction="none")
    return losses.unflatten(0, tokens.shape)


def smoothed(nll: Tensor, logits: Tensor, smoothing: float) -> Tensor:
    """`token_nll` (B, T) with `smoothing` of the target spread evenly over all codes of logits
    (B, T, K): (1 - s) nll + s mean_k (-log p_k)."""
    if smoothing == 0:
        return nll
    logits = logits.float()
    evenly = logits.logsumexp(-1) - logits.mean(-1)
    return torch.lerp(nll, evenly, smoothing)


def hits(logits: Tensor, tokens: Tensor) -> Tensor:
    """1 where the most probable code is the token, else 0, (B, T) float32."""
    return (logits.argmax(-1) == tokens).float()
