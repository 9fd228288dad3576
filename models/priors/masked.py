"""The masked prior of GINA-3D (arXiv 2304.02163): MaskGIT (arXiv 2202.04200) over its tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors.conditions import ConditionKinds, Conditions
from models.priors.mask_schedules import (
    MaskSchedule,
    masked_share,
    random_mask,
    training_counts,
    uniform_counts,
)
from models.priors.sampling import SampleNoise, TokenSampling, draw_tokens, guide
from models.priors.token_prior import (
    TO_SAMPLE,
    PriorLoss,
    PriorScores,
    TokenPrior,
    hits,
    smoothed,
    token_nll,
)
from models.recipe import Recipe
from renderers.cpu.precision import bf16_is_fast
from renderers.ranges import check_number


@dataclass(frozen=True)
class MaskedDecoding:
    """Decoding of a masked prior: in `steps` rounds, of which `schedule` says how much each leaves
    masked. `choice_temperature` times a Gumbel number, falling to zero over the steps, is
    added to the log-probabilities by which tokens are kept."""

    steps: int = 12
    schedule: MaskSchedule = "cosine"
    choice_temperature: float = 4.5

    def __post_init__(self) -> None:
        """Raise ValueError for a number outside its range."""
        check_number("steps", self.steps, 1, 1_000_000)
        check_number("choice_temperature", self.choice_temperature, 0)


class MaskedPrior(TokenPrior):
    """Predicts masked tokens from the conditions and all that are not masked.

    The mask is one more row of the embedding and no code: it can't be predicted.

    Args:
        schedule: of the masked share in training.
        decoding: how `generate` fills in tokens.

    See `TokenPrior` for the others.
    """

    def __init__(
        self,
        codes: int = 2048,
        layout: TokenLayout = TokenLayout(16, 16, 3),
        size: ViTSize = ViTSize(768, 24, 16),
        kinds: ConditionKinds = ConditionKinds(),
        dropout: float = 0.1,
        label_smoothing: float = 0.1,
        checkpointing: bool = False,
        schedule: MaskSchedule = "cosine",
        decoding: MaskedDecoding = MaskedDecoding(),
    ) -> None:
        super().__init__(
            codes,
            layout,
            size,
            kinds,
            dropout,
            label_smoothing,
            checkpointing,
            causal=False,
            symbols=codes + 1,
        )
        self.mask, self.schedule, self.decoding = codes, schedule, decoding

    def recipe(self) -> Recipe:
        """Class and arguments to build this prior again; see `models.recipe`."""
        recipe = super().recipe()
        recipe["init_args"] |= {"schedule": self.schedule, "decoding": asdict(self.decoding)}
        return recipe

    def forward(self, tokens: Tensor, conditions: Conditions) -> Tensor:
        """Logits (B, T, K) at every position, from tokens (B, T) of which some are the mask."""
        x = torch.cat([self.prefix(conditions), self.embedded(tokens)], 1)
        return self.head(self.transformer(x)[:, self.kinds.tokens :])

    def training_loss(
        self, tokens: Tensor, conditions: Conditions, rng: torch.Generator
    ) -> PriorLoss:
        """Mean negative log-likelihood over masked tokens, the only ones that count."""
        counts = training_counts(len(tokens), tokens.shape[1], self.schedule, rng).to(tokens.device)
        masked = random_mask(counts, tokens.shape[1], rng)
        logits = self(tokens.masked_fill(masked, self.mask), conditions)
        share = masked / masked.sum()  # (B, T), sums to 1
        nll = token_nll(logits, tokens)
        return PriorLoss(
            (smoothed(nll, logits, self.label_smoothing) * share).sum(),
            (nll.detach() * share).sum(),
            (hits(logits, tokens) * share).sum(),
        )

    def scores(self, tokens: Tensor, conditions: Conditions, rng: torch.Generator) -> PriorScores:
        """A bound on the negative log-likelihood, estimated with random masks.

        With each count of masked tokens equally likely, the mean over them bounds the likelihood
        of decoding one by one in random order from above (arXiv 2110.02037, equation 3).
        """
        counts = uniform_counts(len(tokens), tokens.shape[1], rng).to(tokens.device)
        masked = random_mask(counts, tokens.shape[1], rng)
        logits = self(tokens.masked_fill(masked, self.mask), conditions)
        share = masked / masked.sum(1, keepdim=True)
        return PriorScores(
            (token_nll(logits, tokens) * share).sum(1), (hits(logits, tokens) * share).sum(1)
        )

    @torch.no_grad()
    def generate(
        self,
        conditions: Conditions,
        noise: SampleNoise,
        sampling: TokenSampling,
        given: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw the tokens that are to be drawn in rounds; every round sees all that are known.

        Args:
            dtype: of the matrix products; float32 where this CPU multiplies bfloat16 more slowly.
        """
        device, shape = self.head.weight.device, (len(conditions), self.layout.tokens)
        tokens = torch.full(shape, TO_SAMPLE, device=device) if given is None else given
        tokens = tokens.masked_fill(tokens == TO_SAMPLE, self.mask)
        counts = (tokens == self.mask).sum(1)  # (B,)
        slow = device.type == "cpu" and dtype == torch.bfloat16 and not bf16_is_fast()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32 and not slow):
            for step in range(1, self.decoding.steps + 1):
                known, progress = tokens != self.mask, step / self.decoding.steps
                uniform = noise.uniform(2, shape[1])  # (B, 2, T)
                logits = self._guided_logits(tokens, conditions, sampling)
                drawn = torch.where(known, tokens, draw_tokens(logits, sampling, uniform[:, 0]))
                temperature = self.decoding.choice_temperature * (1 - progress)
                scores = choice_scores(logits, drawn, uniform[:, 1], temperature)
                still = (counts * masked_share(progress, self.decoding.schedule)).long()
                again = least_confident(scores.masked_fill(known, torch.inf), still)
                tokens = drawn.masked_fill(again, self.mask)
        return drawn

    def _guided_logits(
        self, tokens: Tensor, conditions: Conditions, sampling: TokenSampling
    ) -> Tensor:
        conditional = self(tokens, conditions).float()
        if not sampling.guided:
            return conditional
        return guide(conditional, self(tokens, conditions.dropped()).float(), sampling.guidance)


def choice_scores(logits: Tensor, drawn: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Log-probability of the drawn tokens (B, T) plus `temperature` times Gumbel noise.

    Args:
        logits: (B, T, K); uniform: (B, T) in [0, 1), turned into Gumbel numbers.
    """
    confidence = logits.log_softmax(-1).gather(-1, drawn[..., None])[..., 0]
    smallest = torch.finfo(uniform.dtype).tiny
    gumbel = -(-uniform.clamp(min=smallest).log()).clamp(min=smallest).log()
    return confidence + temperature * gumbel


def least_confident(scores: Tensor, counts: Tensor) -> Tensor:
    """Mask (B, T) bool of the tokens to mask again: those of the lowest scores (B, T), infinite
    for known ones; counts (B,), held between 1 and one less than are unknown.

    Where one token is unknown, it is masked again until the last step.
    """
    unknown = scores.isfinite().sum(1)
    counts = counts.minimum(unknown - 1).clamp(min=1).minimum(unknown)
    ranks = scores.argsort(1).argsort(1)
    return ranks < counts[:, None]
