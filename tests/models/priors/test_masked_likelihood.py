"""Loss and score of the masked prior."""

from itertools import permutations

import pytest
import torch
from tiny_priors import (
    CODES,
    MASK,
    Rounds,
    all_conditions,
    masked_prior,
    noise,
    placed_prior,
    random_tokens,
)

from models.blocks.token_layout import TokenLayout
from models.priors.conditions import Conditions
from models.priors.mask_schedules import (
    random_mask,
    training_counts,
    uniform_counts,
)


def test_only_masked_tokens_count_and_are_hidden_from_the_prior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prior, tokens = placed_prior(), random_tokens(4)
    conditions = all_conditions(4)
    draws = noise(3)
    masked = random_mask(training_counts(4, 12, "cosine", draws), 12, draws)
    rounds = Rounds(prior, monkeypatch)
    before = prior.training_loss(tokens, conditions, noise(3))
    assert torch.equal(rounds.inputs[0], tokens.masked_fill(masked, MASK))
    shares = prior(tokens, conditions).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(before.nll, -shares[masked].mean())
    other = (tokens + 1) % CODES
    unseen = prior.training_loss(torch.where(masked, tokens, other), conditions, noise(3))
    assert torch.equal(unseen.loss, before.loss)
    assert torch.equal(unseen.accuracy, before.accuracy)
    for row, place in masked.nonzero().tolist():
        changed = tokens.clone()
        changed[row, place] = other[row, place]
        after = prior.training_loss(changed, conditions, noise(3))
        assert not torch.equal(after.loss, before.loss)


def test_smoothing_changes_the_loss_and_not_the_figures() -> None:
    conditions, tokens = all_conditions(3), random_tokens(3)
    plain, smooth = (
        masked_prior(label_smoothing=s).training_loss(tokens, conditions, noise())
        for s in (0.0, 0.2)
    )
    torch.testing.assert_close(plain.loss, plain.nll)
    assert torch.equal(plain.nll, smooth.nll)
    assert smooth.loss != plain.loss


def test_an_untrained_head_of_zeros_costs_log_k() -> None:
    prior = masked_prior()
    torch.nn.init.zeros_(prior.head.weight)
    torch.nn.init.zeros_(prior.head.bias)
    scores = prior.scores(random_tokens(50), all_conditions(50), noise())
    torch.testing.assert_close(scores.nll, torch.full((50,), CODES).log())
    assert ((scores.accuracy >= 0) & (scores.accuracy <= 1)).all()


def test_of_independent_tokens_the_score_is_their_entropy() -> None:
    prior, count = placed_prior(), 4000
    conditions = Conditions.of(torch.full((count,), 2))
    with torch.no_grad():
        shares = prior(torch.zeros(1, 12, dtype=torch.long), conditions.map(lambda x: x[:1]))[0]
        shares = shares.softmax(-1)
        tokens = shares.multinomial(count, replacement=True, generator=noise()).T
        scores = prior.scores(tokens, conditions, noise(1)).nll
    entropy = -(shares * shares.log()).sum(-1).mean()
    error = scores.std() / count**0.5
    assert 0 < error < 0.02
    assert abs(scores.mean() - entropy) < 3 * error


def test_the_score_is_the_mean_cost_of_decoding_one_by_one_in_random_order() -> None:
    prior = masked_prior(layout=TokenLayout(1, 3))
    tokens, count = torch.tensor([[4, 0, 7]]), 6000
    conditions = all_conditions(1)
    with torch.no_grad():
        costs = []
        for order in permutations(range(3)):
            known = torch.full((1, 3), MASK)
            for place in order:
                logits = prior(known, conditions)[0, place].log_softmax(-1)
                costs.append(-logits[tokens[0, place]].item())
                known[0, place] = tokens[0, place]
        repeated = conditions.map(lambda value: value.repeat(count, *[1] * (value.ndim - 1)))
        scores = prior.scores(tokens.repeat(count, 1), repeated, noise()).nll
    expected = sum(costs) / len(costs)
    error = scores.std().item() / count**0.5
    assert 0 < error < 0.02
    assert scores.mean().item() == pytest.approx(expected, abs=3 * error)


def test_scores_come_from_the_masks_of_the_noise() -> None:
    prior, conditions, tokens = masked_prior(), all_conditions(5), random_tokens(5)
    draws = noise(2)
    masked = random_mask(uniform_counts(5, 12, draws), 12, draws)
    scores = prior.scores(tokens, conditions, noise(2))
    logits = prior(tokens.masked_fill(masked, MASK), conditions)
    for row in range(5):
        places = masked[row]
        cost = torch.nn.functional.cross_entropy(logits[row, places], tokens[row, places])
        right = (logits[row, places].argmax(-1) == tokens[row, places]).float().mean()
        torch.testing.assert_close(scores.nll[row], cost)
        torch.testing.assert_close(scores.accuracy[row], right)
