"""A prior and the stage-1 model whose tokens it generates: conditions and seeds to scenes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.autoencoder import TokenAutoencoder
from models.priors.conditions import Conditions
from models.priors.sampling import SampleNoise, TokenSampling
from models.priors.token_prior import TokenPrior
from models.scenes import Scenes


@dataclass(frozen=True)
class TokenGenerator:
    """Draws tokens from a prior and decodes them with a stage-1 model."""

    prior: TokenPrior
    autoencoder: TokenAutoencoder

    def tokens(
        self,
        conditions: Conditions,
        noise: SampleNoise,
        sampling: TokenSampling = TokenSampling(),
        given: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Tokens (B, T) of B samples; see `TokenPrior.generate`."""
        return self.prior.generate(conditions, noise, sampling, given, dtype)

    def generate(
        self,
        conditions: Conditions,
        noise: SampleNoise,
        sampling: TokenSampling = TokenSampling(),
        dtype: torch.dtype = torch.float32,
    ) -> Scenes:
        """B scenes, one a seed of `noise`."""
        drawn = self.tokens(conditions, noise, sampling, dtype=dtype)
        return self.autoencoder.decode_tokens(drawn)
