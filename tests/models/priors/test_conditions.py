from dataclasses import replace

import pytest
import torch
from tiny_priors import ALL_KINDS, all_conditions

from models.priors.conditions import (
    ConditionDropout,
    ConditionKinds,
    Conditions,
    ConditionTokens,
)

LABEL, SIZE, TIME, SEMANTICS = range(4)


def embedding(kinds: ConditionKinds = ALL_KINDS) -> ConditionTokens:
    """With the embeddings of what is unknown at random too, so that they can be told apart."""
    torch.manual_seed(0)
    tokens = ConditionTokens(kinds, 16)
    for name, parameter in tokens.named_parameters():
        if name.endswith("open"):
            torch.nn.init.normal_(parameter)
    return tokens


def dropped(*columns: int, count: int = 3) -> Conditions:
    which = torch.zeros(count, 4, dtype=torch.bool)
    which[:, list(columns)] = True
    return all_conditions(count).dropped(which)


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        (ConditionKinds(), 1),
        (ConditionKinds(classes=7), 1),
        (ConditionKinds(size=True), 2),
        (ConditionKinds(time_of_day=True, semantics=4), 3),
        (ALL_KINDS, 4),
    ],
)
def test_each_kind_but_the_class_adds_a_token(kinds: ConditionKinds, count: int) -> None:
    assert kinds.tokens == count
    assert embedding(kinds)(all_conditions(3)).shape == (3, count, 16)


@pytest.mark.parametrize("column", [LABEL, SIZE, TIME, SEMANTICS])
def test_a_condition_changes_its_own_token_unless_it_is_unknown(column: int) -> None:
    embed, ours, others = embedding(), all_conditions(3), all_conditions(3, seed=1)
    others = replace(others, label=(ours.label + 1) % 5, time_of_day=(ours.time_of_day + 1) % 3)
    fields = ("label", "size", "time_of_day", "semantics")
    mixed = replace(ours, **{fields[column]: getattr(others, fields[column])})
    before, after = embed(ours), embed(mixed)
    changed = (before != after).any(-1)
    assert changed[:, column].all()
    assert changed.sum() == 3
    which = torch.zeros(3, 4, dtype=torch.bool)
    which[:, column] = True
    without = embed(ours.dropped(which))
    assert torch.equal(without, embed(mixed.dropped(which)))
    assert (without[:, column] != before[:, column]).any(-1).all()
    assert torch.equal(without[0, column], without[1, column])


def test_any_subset_may_be_known_in_any_sample() -> None:
    embed = embedding()
    which = torch.tensor([[n >> bit & 1 for bit in range(4)] for n in range(16)]).bool()
    conditions = all_conditions(16)
    known, unknown = embed(conditions), embed(conditions.dropped())
    expected = torch.where(which[..., None], unknown, known)
    assert torch.equal(embed(conditions.dropped(which)), expected)


def test_part_of_a_box_or_of_a_vector_is_as_good_as_none() -> None:
    embed, conditions = embedding(), all_conditions(2)
    size, semantics = conditions.size.clone(), conditions.semantics.clone()
    size[:, 1], semantics[:, 3] = torch.nan, torch.nan
    found = embed(replace(conditions, size=size, semantics=semantics))
    assert torch.equal(found, embed(dropped(SIZE, SEMANTICS, count=2)))


def test_semantics_that_were_not_loaded_are_open() -> None:
    embed, conditions = embedding(), all_conditions(2)
    absent = replace(conditions, semantics=torch.empty(2, 0))
    assert torch.equal(embed(absent), embed(dropped(SEMANTICS, count=2)))
    assert Conditions.of(conditions.label).semantics.shape == (2, 0)


def test_numbers_that_no_condition_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"classes is -1, it must be from 0 to 1,000,000"):
        ConditionKinds(classes=-1)
    with pytest.raises(ValueError, match=r"each is 1.5, it must be from 0 to 1"):
        ConditionDropout(each=1.5)


def test_semantics_of_another_width_are_refused() -> None:
    conditions = replace(all_conditions(2), semantics=torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"vectors have width 3, the prior takes 4: change `sem"):
        embedding()(conditions)


def test_only_the_direction_of_a_semantic_vector_counts() -> None:
    embed, conditions = embedding(), all_conditions(2)
    longer = replace(conditions, semantics=10 * conditions.semantics)
    torch.testing.assert_close(embed(longer), embed(conditions))


def test_labels_of_the_data_are_ignored_by_a_prior_without_classes() -> None:
    embed = embedding(ConditionKinds(size=True))
    assert torch.equal(embed(all_conditions(3)), embed(dropped(LABEL, TIME, SEMANTICS)))


def test_what_is_not_given_is_open() -> None:
    embed, conditions = embedding(), all_conditions(3)
    assert torch.equal(embed(Conditions.of(conditions.label)), embed(dropped(1, 2, 3)))
    given = Conditions.of(conditions.label, conditions.size, semantics=conditions.semantics)
    assert torch.equal(embed(given), embed(dropped(TIME)))


@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (1,), (3,), ()])
def test_gradients_are_finite_where_conditions_are_unknown(columns: tuple[int, ...]) -> None:
    embed = embedding()
    which = torch.zeros(3, 4, dtype=torch.bool)
    which[1:, list(columns)] = True  # beside a sample that knows everything
    for unknown in (which, which | which.any(0)):
        embed.zero_grad()
        embed(all_conditions(3).dropped(unknown)).square().sum().backward()
        for name, parameter in embed.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_open_embeddings_learn_from_open_samples_alone() -> None:
    embed = embedding()
    embed(dropped()).sum().backward()
    assert not embed.size_open.grad.any()
    assert not embed.label.weight.grad[0].any()
    embed.zero_grad()
    embed(dropped(LABEL, SIZE)).sum().backward()
    assert embed.size_open.grad.any()
    assert embed.label.weight.grad[0].any()
    assert not embed.size[0].weight.grad.any()


def test_conditions_of_all_kinds_mix_under_autocast() -> None:
    embed, conditions = embedding(), dropped(SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        found = embed(conditions)
    torch.testing.assert_close(found.float(), embed(conditions), atol=0.05, rtol=0)


def test_dropout_opens_everything_together_and_each_alone() -> None:
    count = 20_000
    labels = torch.zeros(count, dtype=torch.long)
    conditions = Conditions(labels, torch.ones(count, 3), labels, torch.ones(count, 4))
    rng = torch.Generator().manual_seed(0)
    dropped = ConditionDropout(everything=0.1, each=0.25).apply(conditions, rng)
    which = torch.stack(
        [
            dropped.label < 0,
            dropped.size.isnan().all(1),
            dropped.time_of_day < 0,
            dropped.semantics.isnan().all(1),
        ],
        1,
    ).double()
    assert torch.equal(which[:, 1].bool(), dropped.size.isnan().any(1))
    # One is dropped with 1 - 0.9 0.75 = 0.325, two with 1 - 0.9 (2 0.75 - 0.75^2) = 0.15625, all
    # with 0.1 + 0.9 0.25^4 = 0.1035; standard errors are below 0.0034.
    pairs = which.T @ which / count
    expected = torch.full((4, 4), 0.15625).fill_diagonal_(0.325).double()
    torch.testing.assert_close(pairs, expected, atol=0.015, rtol=0)
    assert which.all(1).double().mean().item() == pytest.approx(0.1035, abs=0.01)


def test_dropout_of_nothing_and_of_everything() -> None:
    conditions, noise = all_conditions(50), torch.Generator().manual_seed(0)
    kept = ConditionDropout(0.0, 0.0).apply(conditions, noise)
    assert torch.equal(kept.label, conditions.label)
    assert torch.equal(kept.size, conditions.size)
    for dropout in (ConditionDropout(1.0, 0.0), ConditionDropout(0.0, 1.0)):
        gone = dropout.apply(conditions, noise)
        assert (gone.label == -1).all()
        assert gone.semantics.isnan().all()
