"""Priors that are built and trained in a moment, and conditions to ask them with."""

from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionKinds, Conditions
from models.priors.masked import MaskedPrior
from models.priors.token_prior import TokenPrior

PriorT = TypeVar("PriorT", bound=TokenPrior)
CODES = MASK = 13
LAYOUT = TokenLayout(2, 3, 2)
SIZE = ViTSize(16, 2, 2)
ALL_KINDS = ConditionKinds(classes=5, size=True, time_of_day=True, semantics=4)


def causal_prior(seed: int = 0, **options: Any) -> AutoregressivePrior:
    """An untrained prior over 12 tokens that takes every condition."""
    torch.manual_seed(seed)
    settings = {"codes": CODES, "layout": LAYOUT, "size": SIZE, "kinds": ALL_KINDS} | options
    return sharpened(AutoregressivePrior(**settings)).eval()


def masked_prior(seed: int = 0, **options: Any) -> MaskedPrior:
    """The same, masked, and without dropout and smoothing."""
    torch.manual_seed(seed)
    settings = {"codes": CODES, "layout": LAYOUT, "size": SIZE, "kinds": ALL_KINDS}
    settings |= {"dropout": 0.0, "label_smoothing": 0.0}
    return sharpened(MaskedPrior(**settings | options)).eval()


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def placed_prior() -> MaskedPrior:
    """A prior whose logits depend on the place alone: tokens are independent."""
    prior = masked_prior()
    torch.nn.init.zeros_(prior.embed.weight)
    return prior


class Rounds:
    """Keeps what every pass of a prior is given and what it gives."""

    def __init__(self, prior: MaskedPrior, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inputs: list[Tensor] = []
        self.logits: list[Tensor] = []
        self.really = prior.forward
        monkeypatch.setattr(prior, "forward", self)

    def __call__(self, tokens: Tensor, conditions: Conditions) -> Tensor:
        self.inputs.append(tokens.clone())
        self.logits.append(self.really(tokens, conditions))
        return self.logits[-1]


def sharpened(prior: PriorT) -> PriorT:
    """With planes told apart, and logits some units apart, so that contexts and conditions matter
    to what is drawn."""
    with torch.no_grad():
        prior.positions.plane.normal_(std=0.3)
        prior.head.weight.mul_(4.0)
    return prior


def all_conditions(count: int, seed: int = 0) -> Conditions:
    """Everything known."""
    rng = torch.Generator().manual_seed(seed)
    return Conditions(
        torch.randint(5, (count,), generator=rng),
        torch.rand(count, 3, generator=rng) + 0.5,
        torch.randint(3, (count,), generator=rng),
        torch.randn(count, 4, generator=rng),
    )


def random_tokens(count: int, seed: int = 0, codes: int = CODES, tokens: int = 12) -> Tensor:
    return torch.randint(codes, (count, tokens), generator=torch.Generator().manual_seed(seed))


def learn_by_heart(prior: TokenPrior, tokens: Tensor, most_steps: int = 500) -> Conditions:
    """Train a prior on tokens (B, T), told apart by their class, until it can't be wrong.

    Returns the conditions that ask for each of them.
    """
    conditions = Conditions.of(torch.arange(len(tokens)))
    optimizer = torch.optim.Adam(prior.parameters(), lr=5e-3)
    rng = torch.Generator().manual_seed(0)
    faultless = 0
    while faultless < 10:
        assert (most_steps := most_steps - 1) > 0
        result = prior.training_loss(tokens, conditions, rng)
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        faultless = faultless + 1 if result.accuracy == 1 and result.nll < 0.05 else 0
    prior.eval()
    return conditions
