import math

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.losses.view_prior import ViewPriorWeights, view_advantages, view_prior_loss


def test_views_that_are_taken_for_real_become_likelier() -> None:
    odds = torch.zeros(1, 4, requires_grad=True)
    rng = torch.Generator().manual_seed(0)
    real = torch.tensor([-2.0, -2.0, 3.0, -2.0])  # logits of the cells
    for _ in range(60):
        log_probabilities = torch.log_softmax(odds, 1).expand(64, 4)
        cells = torch.multinomial(log_probabilities.detach().exp(), 1, generator=rng)
        weights = ViewPriorWeights(1.0, 0.0)
        logits = real[cells[:, 0]]
        ahead = view_advantages(logits, logits)
        loss, _ = view_prior_loss(log_probabilities, cells, ahead, weights)
        (gradient,) = torch.autograd.grad(loss, odds)
        odds.data -= gradient
    assert torch.softmax(odds, 1)[0, 2] > 0.9


def test_its_gradient_is_that_of_the_expected_reward() -> None:
    odds = torch.tensor([[0.3, -0.2, 0.5]], requires_grad=True)
    real = torch.tensor([1.0, -1.0, 0.5])
    expected = (torch.softmax(odds, 1) * torch.nn.functional.logsigmoid(real)).sum()
    (exact,) = torch.autograd.grad(-expected, odds)
    count = 200_000
    rng = torch.Generator().manual_seed(0)
    log_probabilities = torch.log_softmax(odds, 1).expand(count, 3)
    cells = torch.multinomial(
        log_probabilities[:1].detach().exp(), count, replacement=True, generator=rng
    ).T
    # Steps of two views only: a baseline that held the view itself would halve the gradient.
    logits = real[cells[:, 0]]
    pairs = logits.view(-1, 2)
    ahead = torch.vmap(view_advantages)(pairs, pairs).flatten()
    loss, _ = view_prior_loss(log_probabilities, cells, ahead, ViewPriorWeights(1.0, 0.0))
    (estimate,) = torch.autograd.grad(loss, odds)
    torch.testing.assert_close(estimate, exact, atol=3e-3, rtol=0)


def test_entropy_is_in_nats_and_pulls_towards_even_odds() -> None:
    odds = torch.tensor([[1.0, 0.0]], requires_grad=True)
    log_probabilities = torch.log_softmax(odds, 1)
    cells, even_views = torch.tensor([[0]]), torch.zeros(1)
    weights = ViewPriorWeights(1.0, 1.0)
    loss, entropy = view_prior_loss(log_probabilities, cells, even_views, weights)
    (gradient,) = torch.autograd.grad(loss, odds)
    assert gradient[0, 0] > 0 > gradient[0, 1]  # descent lowers the likelier one
    even, _ = torch.log_softmax(torch.zeros(1, 2), 1), None
    assert view_prior_loss(even, cells, even_views, ViewPriorWeights())[1].item() == pytest.approx(
        math.log(2)
    )
    assert entropy < math.log(2)


def test_views_are_compared_with_the_others_of_all_processes() -> None:
    everyone = torch.tensor([2.0, -1.0, 0.5, 0.0])
    whole = view_advantages(everyone, everyone)
    assert torch.equal(torch.cat([view_advantages(p, everyone) for p in everyone.split(1)]), whole)
    rewards = torch.nn.functional.logsigmoid(everyone)
    torch.testing.assert_close(whole[1], rewards[1] - rewards[[0, 2, 3]].mean())
    with pytest.raises(DataError, match=r"a step has but one: raise `data.batch_size`"):
        view_advantages(everyone[:1], everyone[:1])
