import itertools
import math

import pytest
import torch

from models.priors.mask_schedules import (
    masked_share,
    random_mask,
    training_counts,
    uniform_counts,
)

SCHEDULES = ("cosine", "linear", "arccos")


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("schedule", "half"), [("cosine", math.sqrt(0.5)), ("linear", 0.5), ("arccos", 2 / 3)]
)
def test_schedules_fall_from_all_to_nothing(schedule: str, half: float) -> None:
    shares = [masked_share(step / 20, schedule) for step in range(21)]
    assert shares[0] == pytest.approx(1, abs=1e-12)
    assert shares[10] == pytest.approx(half, abs=1e-12)
    assert shares[20] == pytest.approx(0, abs=1e-12)
    assert all(before > after for before, after in itertools.pairwise(shares))


def test_cosine_decodes_few_tokens_at_first_and_arccos_many() -> None:
    early = [1 - masked_share(0.1, schedule) for schedule in SCHEDULES]
    late = [masked_share(0.9, schedule) for schedule in SCHEDULES]
    cosine, linear, arccos = range(3)
    assert early[cosine] < early[linear]
    assert late[cosine] > late[linear]
    assert late[arccos] > late[cosine]  # the last tokens of arccos come at once too


def test_masks_have_their_counts_and_all_subsets_are_alike() -> None:
    counts = torch.tensor([0, 1, 2, 4])
    assert random_mask(counts, 4, noise()).sum(1).tolist() == [0, 1, 2, 4]
    masks = random_mask(torch.full((12_000,), 2), 4, noise())
    subsets, found = masks.unique(dim=0, return_counts=True)
    # Of 12,000 masks a sixth each, with a standard error of 0.0034.
    assert len(subsets) == 6
    torch.testing.assert_close(found / 12_000, torch.full((6,), 1 / 6), atol=0.015, rtol=0)


@pytest.mark.parametrize(
    ("schedule", "most"), [("cosine", 2 / 3), ("linear", 1 / 2), ("arccos", math.sqrt(0.5))]
)
def test_training_masks_what_the_schedule_leaves_at_uniform_progress(
    schedule: str, most: float
) -> None:
    counts = training_counts(10_000, 64, schedule, noise())
    assert counts.min() == 1
    assert counts.max() == 64
    # Progress below `most` leaves more than half masked; standard error 0.005.
    assert (counts > 32).float().mean().item() == pytest.approx(most, abs=0.02)


def test_of_a_single_token_it_is_masked() -> None:
    assert training_counts(100, 1, "cosine", noise()).unique().tolist() == [1]
    assert uniform_counts(100, 1, noise()).unique().tolist() == [1]


def test_scores_mask_every_count_alike_and_spread_them_over_a_batch() -> None:
    draws = noise()
    counts = torch.stack([uniform_counts(4, 12, draws) for _ in range(6000)])
    ordered = counts.sort(1).values
    assert ((ordered - 1) // 3).eq(torch.arange(4)).all()
    for place in range(4):  # wherever a sample stands in its batch
        found = counts[:, place].bincount(minlength=13)[1:] / 6000
        # A twelfth each, with a standard error of 0.0036.
        torch.testing.assert_close(found, torch.full((12,), 1 / 12), atol=0.015, rtol=0)
