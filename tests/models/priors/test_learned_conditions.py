"""A masked prior learns what each condition says, and uses it whichever of the others are known."""

import itertools

import pytest
import torch
from tiny_priors import CODES, LAYOUT, MASK, masked_prior
from torch import Tensor

from models.blocks.vit import ViTSize
from models.priors.conditions import ConditionDropout, ConditionKinds, Conditions
from models.priors.masked import MaskedPrior
from models.priors.sampling import SampleNoise, TokenSampling

CHOICES = 3
"""Classes, sizes, times and vectors."""

FEATURES = 7
TOLD = 3
"""Tokens that a condition determines, of 12."""


def world() -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (CHOICES, 3), vectors (CHOICES, F), and the tokens (4, CHOICES, TOLD) that choices of a
    class, box, time and vector determine."""
    rng = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[4.5, 1.8, 1.5], [0.8, 0.8, 1.8], [9.0, 2.5, 3.5]])
    vectors = torch.randn(CHOICES, FEATURES, generator=rng)
    codes = torch.stack([torch.randperm(CODES, generator=rng)[:CHOICES] for _ in range(4 * TOLD)])
    return boxes, vectors, codes.view(4, TOLD, CHOICES).transpose(1, 2)


def scenes(choices: Tensor) -> tuple[Tensor, Conditions]:
    """Tokens (B, 12) and conditions of choices (B, 4)."""
    boxes, vectors, codes = world()
    label, size, time, vector = choices.unbind(1)
    tokens = torch.cat([codes[kind, choices[:, kind]] for kind in range(4)], 1)
    return tokens, Conditions(label, boxes[size], time, vectors[vector])


@pytest.fixture(scope="module")
def learned() -> MaskedPrior:
    """Trained on random choices, each of which is unknown to it in a third of the scenes."""
    kinds = ConditionKinds(CHOICES, True, True, FEATURES)
    prior = masked_prior(kinds=kinds, layout=LAYOUT, size=ViTSize(32, 2, 2)).train()
    optimizer, rng = torch.optim.Adam(prior.parameters(), lr=4e-3), torch.Generator().manual_seed(1)
    for _ in range(200):
        tokens, conditions = scenes(torch.randint(CHOICES, (48, 4), generator=rng))
        given = ConditionDropout(0.0, 0.3).apply(conditions, rng)
        optimizer.zero_grad()
        prior.training_loss(tokens, given, rng).loss.backward()
        optimizer.step()
    return prior.eval()


@torch.no_grad()
def test_what_is_known_is_right_and_nothing_else(learned: MaskedPrior) -> None:
    choices = torch.cartesian_prod(*[torch.arange(CHOICES)] * 4)
    tokens, conditions = scenes(choices)
    masked = torch.full_like(tokens, MASK)
    for known in itertools.product((False, True), repeat=4):
        unknown = ~torch.tensor(known).expand(len(choices), 4)
        logits = learned(masked, conditions.dropped(unknown))
        right = (logits.argmax(-1) == tokens).double().view(-1, 4, TOLD).mean((0, 2))
        for share, is_known in zip(right.tolist(), known, strict=True):
            assert share > 0.97 if is_known else share < 0.45, (known, right)


def test_samples_follow_a_vector_unless_it_is_unknown(
    learned: MaskedPrior,
) -> None:
    choices = torch.tensor([[0, 1, 2, vector] for vector in (0, 1, 2) * 4])
    tokens, conditions = scenes(choices)
    noise, sampling = SampleNoise(range(12)), TokenSampling()
    drawn = learned.generate(conditions, noise, sampling)
    assert (drawn == tokens).double().mean() > 0.95
    blind = Conditions(
        conditions.label,
        conditions.size,
        conditions.time_of_day,
        torch.full_like(conditions.semantics, torch.nan),
    )
    drawn = learned.generate(blind, noise, sampling)
    assert (drawn[:, :9] == tokens[:, :9]).double().mean() > 0.95
    assert (drawn[:, 9:] == tokens[:, 9:]).double().mean() < 0.7  # a third by chance


def test_a_prior_over_vectors_alone_learns_them() -> None:
    prior = masked_prior(kinds=ConditionKinds(semantics=FEATURES)).train()
    vectors = torch.randn(16, FEATURES, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(CODES, (16, 12), generator=torch.Generator().manual_seed(1))
    conditions = Conditions.of(torch.full((16,), -1), semantics=vectors)
    optimizer, rng = torch.optim.Adam(prior.parameters(), lr=8e-3), torch.Generator().manual_seed(2)
    for _ in range(150):
        result = prior.training_loss(tokens, conditions, rng)
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = prior.eval()(torch.full_like(tokens, MASK), conditions)
    assert (logits.argmax(-1) == tokens).double().mean() > 0.98
