"""Entropy loss of a codebook, as MaskGIT's tokenizer has it (arXiv 2202.04200, its code)."""

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.01
"""Of the cosines that make probabilities of codes; MaskGIT's value."""


def code_entropy_loss(latents: Tensor, codes: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Mean entropy of the tokens' code distributions less the entropy of their mean, ().

        L = mean_n H(p_n) - H(mean_n p_n),   p_n = softmax(cos(latent_n, codes) / temperature)

    Low where each latent is close to one code and all codes are used: at best -log K.

    Args:
        latents: (B, T, c) unit vectors.
        codes: (K, c), of any length.
        temperature: above 0.

    >>> codes = torch.eye(2)
    >>> round(code_entropy_loss(codes[None], codes).item(), 4)  # one code each: -log 2
    -0.6931
    """
    with torch.autocast(latents.device.type, enabled=False):
        cosine = latents.float().flatten(0, 1) @ F.normalize(codes.float(), dim=-1).T  # (N, K)
        log_p = F.log_softmax(cosine / temperature, dim=-1)
        p = log_p.exp()
        each = -(p * log_p).sum(-1).mean()
        mean = p.mean(0)
        return each + torch.special.xlogy(mean, mean).sum()
