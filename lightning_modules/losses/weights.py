"""Loss terms, their weights as data, and their one sum."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lightning_modules.training.schedules import (
    MOST_WEIGHT,
    Schedule,
    always_zero,
    check_schedule,
    scheduled_value,
)


@dataclass(frozen=True)
class Stage1Weights:
    """Weight of every stage-1 term: a number, or knots [[images seen, weight], ...].

    A term whose weight is zero throughout is not computed, but for `l2`, `quantizer` and, in
    systems whose scenes have boxes, `size`. Defaults for the pixel, perceptual, quantiser and
    adversarial terms are ViT-VQGAN's, the parent of VQ3D; the rest are ours. `alpha` needs masks.
    """

    l2: Schedule = 1.0
    logit_laplace: Schedule = 0.1
    perceptual: Schedule = 0.1
    quantizer: Schedule = 1.0
    depth: Schedule = 1.0
    adversarial: Schedule = 0.1
    novel_view: Schedule = 0.1
    alpha: Schedule = 0.0
    opacity_entropy: Schedule = 0.0
    code_entropy: Schedule = 0.0
    size: Schedule = 1.0

    def __post_init__(self) -> None:
        """Raise DataError for a weight outside its range and for knots out of order."""
        for field in fields(self):
            check_schedule(field.name, getattr(self, field.name), 0, MOST_WEIGHT)

    def at(self, images_seen: int) -> dict[str, float]:
        """The weights at a count of images, by name of the term."""
        return {
            field.name: scheduled_value(getattr(self, field.name), images_seen)
            for field in fields(self)
        }

    def ever_used(self, term: str) -> bool:
        """Whether a term has a weight at any time of the run."""
        return not always_zero(getattr(self, term))


def weighted_sum(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Sum of weight times term over the terms that were computed.

    >>> terms = {"l2": torch.tensor(0.5), "depth": torch.tensor(2.0)}
    >>> weighted_sum(terms, {"l2": 1.0, "depth": 0.25, "adversarial": 0.1}).item()
    1.0
    """
    return torch.stack([weights[name] * term.float() for name, term in terms.items()]).sum()
