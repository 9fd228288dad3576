"""The autoregressive prior of VQ3D (arXiv 2302.06833): a decoder-only transformer over tokens."""

import torch
from torch import Tensor

from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors.cached_decoder import CachedDecoder, repeat
from models.priors.conditions import ConditionKinds, Conditions
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


class AutoregressivePrior(TokenPrior):
    """Predicts each token from the conditions and the tokens before it, in raster order.

    See `TokenPrior` for the arguments.
    """

    def __init__(
        self,
        codes: int = 8192,
        layout: TokenLayout = TokenLayout(),
        size: ViTSize = ViTSize(1024, 24, 16),
        kinds: ConditionKinds = ConditionKinds(),
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(
            codes,
            layout,
            size,
            kinds,
            dropout,
            label_smoothing,
            checkpointing,
            causal=True,
            symbols=codes,
        )

    def forward(self, tokens: Tensor, conditions: Conditions) -> Tensor:
        """Logits (B, T, K); those of token t depend on tokens (B, T) before t alone."""
        x = torch.cat([self.prefix(conditions), self.embedded(tokens)[:, :-1]], 1)
        return self.head(self.transformer(x)[:, self.kinds.tokens - 1 :])

    def training_loss(
        self, tokens: Tensor, conditions: Conditions, rng: torch.Generator
    ) -> PriorLoss:
        """Mean negative log-likelihood over all tokens."""
        logits = self(tokens, conditions)
        nll = token_nll(logits, tokens)
        loss = smoothed(nll, logits, self.label_smoothing).mean()
        return PriorLoss(loss, nll.detach().mean(), hits(logits, tokens).mean())

    def scores(self, tokens: Tensor, conditions: Conditions, rng: torch.Generator) -> PriorScores:
        """Exact negative log-likelihood; `rng` is not used."""
        logits = self(tokens, conditions)
        return PriorScores(token_nll(logits, tokens).mean(1), hits(logits, tokens).mean(1))

    @torch.no_grad()
    def generate(
        self,
        conditions: Conditions,
        noise: SampleNoise,
        sampling: TokenSampling,
        given: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw tokens one after the other; a drawn token sees the given ones before it only.

        Args:
            dtype: of the weights, keys and values that every step reads.
        """
        count, total = len(conditions), self.layout.tokens
        prefix = self._prefix(conditions, sampling)  # (B or 2 B, N, D)
        decoder = CachedDecoder(
            self.transformer, self.head, len(prefix), self.kinds.tokens + total - 1, dtype
        )
        for number in range(self.kinds.tokens):
            logits = decoder.step(prefix[:, number])
        tokens = torch.full((count, total), TO_SAMPLE, device=prefix.device)
        tokens = tokens if given is None else given.clone()
        drawing = _Drawing(self, decoder, tokens, noise.uniform(total), sampling)
        drawing.draw(logits)
        repeat(drawing.advance, total - 1, prefix.device)
        return tokens

    def _prefix(self, conditions: Conditions, sampling: TokenSampling) -> Tensor:
        conditional = self.prefix(conditions)
        if not sampling.guided:
            return conditional
        return torch.cat([conditional, self.prefix(conditions.dropped())])


def _guided(logits: Tensor, sampling: TokenSampling) -> Tensor:
    """Logits (B, K) to draw from, of (2 B, K) with guidance: first conditional, then not."""
    if not sampling.guided:
        return logits
    conditional, unconditional = logits.chunk(2)
    return guide(conditional, unconditional, sampling.guidance)


class _Drawing:
    """Tokens drawn one after the other; where it is lies beside them, not on the host, so that
    every step is the same.

    Args:
        prior, decoder: one after the other makes logits of a token.
        tokens: (B, T), filled where they are `TO_SAMPLE`.
        uniform: (B, T) in [0, 1).
    """

    def __init__(
        self,
        prior: AutoregressivePrior,
        decoder: CachedDecoder,
        tokens: Tensor,
        uniform: Tensor,
        sampling: TokenSampling,
    ) -> None:
        self.embed, self.positions = prior.embed, prior.positions()
        self.decoder, self.tokens, self.uniform = decoder, tokens, uniform
        self.sampling = sampling
        self.next = torch.zeros(1, dtype=torch.int64, device=tokens.device)

    def draw(self, logits: Tensor) -> None:
        """Draw the next token from logits (B or 2 B, K), unless it is given."""
        uniform = self.uniform.index_select(1, self.next)[:, 0]
        drawn = draw_tokens(_guided(logits, self.sampling), self.sampling, uniform)
        given = self.tokens.index_select(1, self.next)[:, 0]
        token = torch.where(given == TO_SAMPLE, drawn, given)
        self.tokens.index_copy_(1, self.next, token[:, None])
        self.next.add_(1)

    def advance(self) -> None:
        """Run the transformer on the last token, and draw the next one."""
        last = self.next - 1
        x = self.embed(self.tokens.index_select(1, last)[:, 0]) + self.positions[last]
        self.draw(self.decoder.step(x.repeat(2 if self.sampling.guided else 1, 1)))
