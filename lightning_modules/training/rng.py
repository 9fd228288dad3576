"""Random numbers as a function of (seed, images seen), the same ones in a resumed run."""

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What numbers are drawn for: each purpose has its own stream."""

    VIEWS = 0
    CODEBOOK = 1
    TOKENS = 2
    VALIDATION = 3
    DROPOUT = 4
    HIDING = 5


def step_rng(
    seed: int,
    images_seen: int,
    purpose: Purpose,
    *,
    rank: int = 0,
    device: torch.device | str = "cpu",
) -> torch.Generator:
    """A generator for one training step; pass the same `rank` everywhere to draw alike on all."""
    return torch.Generator(device).manual_seed(_state(seed, images_seen, purpose, rank))


def seed_dropout(seed: int, images_seen: int, rank: int) -> None:
    """Seed PyTorch's global generators, from which dropout draws, for one training step."""
    torch.manual_seed(_state(seed, images_seen, Purpose.DROPOUT, rank))


def _state(*numbers: int) -> int:
    (state,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state) & (2**63 - 1)
