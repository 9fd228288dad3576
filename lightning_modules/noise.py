"""Random numbers as a function of (seed, images seen), the same ones in a resumed run."""

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What numbers are drawn for: each purpose has its own stream."""

    VIEWS = 0
    CODEBOOK = 1


def step_noise(
    seed: int,
    images_seen: int,
    purpose: Purpose,
    *,
    rank: int = 0,
    device: torch.device | str = "cpu",
) -> torch.Generator:
    """A generator for one training step; pass the same `rank` everywhere to draw alike on all."""
    sequence = np.random.SeedSequence([seed, images_seen, purpose, rank])
    (state,) = sequence.generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state) & (2**63 - 1))
