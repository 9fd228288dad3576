import math

import pytest
import torch

from lightning_modules.metrics.prior import PriorMetrics
from models.priors.token_prior import PriorScores


def scores(*bits: float) -> PriorScores:
    nll = torch.tensor(bits) * math.log(2)
    return PriorScores(nll, torch.tensor([0.25, 0.75, 1.0])[: len(bits)])


def test_figures_are_means_over_images_whatever_the_batches() -> None:
    metrics = PriorMetrics(codes=8)
    metrics.update(scores(1.0, 2.0, 6.0), torch.zeros(3, 4, dtype=torch.long))
    metrics.update(scores(4.0), torch.ones(1, 4, dtype=torch.long))
    figures = metrics.compute()
    assert figures["bits_per_token"].item() == pytest.approx(13 / 4)
    assert figures["accuracy"].item() == pytest.approx((0.25 + 0.75 + 1.0 + 0.25) / 4)


def test_the_unigram_is_the_entropy_of_the_codes() -> None:
    metrics = PriorMetrics(codes=8)
    metrics.update(scores(1.0), torch.tensor([[5, 5, 5, 5]]))
    assert metrics.compute()["unigram_bits_per_token"] == 0
    metrics.update(scores(1.0), torch.tensor([[0, 0, 7, 1]]))
    # Shares 1/2, 1/4, 1/8 and 1/8.
    assert metrics.compute()["unigram_bits_per_token"].item() == pytest.approx(1.75)
    metrics.reset()
    metrics.update(scores(1.0), torch.arange(8)[None])
    figures = metrics.compute()
    assert figures["unigram_bits_per_token"].item() == pytest.approx(3.0)
    assert figures["bits_per_token"].item() == pytest.approx(1.0)
    assert figures["accuracy"].item() == pytest.approx(0.25)
