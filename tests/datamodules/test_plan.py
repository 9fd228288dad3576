import itertools

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.plan import TrainPlan, ValPlan


@pytest.mark.parametrize(("world", "batch_size"), list(itertools.product([1, 2, 3, 4], [1, 2, 5])))
@pytest.mark.parametrize("start", [0, 1, 7])
def test_ranks_share_a_run_of_positions(world, batch_size, start):
    plans = [TrainPlan(22, batch_size, rank, world) for rank in range(world)]
    for number in range(3):
        parts = [plan.positions(start, number) for plan in plans]
        assert [len(part) for part in parts] == [batch_size] * world
        first = start + number * world * batch_size
        assert sorted(np.concatenate(parts)) == list(range(first, first + world * batch_size))
        assert all((part % world == rank).all() for rank, part in enumerate(parts))


def test_a_pass_is_an_epoch_but_never_empty():
    assert TrainPlan(22, 3, 0, 2).batches == 3
    assert TrainPlan(5, 4, 0, 2).batches == 1


@pytest.mark.parametrize(
    ("images", "world", "batch_size"),
    list(itertools.product([4, 5, 9, 22], [1, 2, 3, 4], [1, 2, 4, 50])),
)
def test_validation_counts_every_image_once_in_equally_many_batches(images, world, batch_size):
    plans = [ValPlan(images, batch_size, rank, world) for rank in range(world)]
    assert len({plan.batches for plan in plans}) == 1
    batches = [plan.positions(0, n) for plan in plans for n in range(plan.batches)]
    sizes = [len(batch) for batch in batches]
    assert min(sizes) >= 1
    assert max(sizes) <= max(batch_size, 2)
    assert max(sizes) - min(sizes) <= 1
    assert sorted(np.concatenate(batches)) == list(range(images))


def test_a_rank_without_validation_images_is_refused():
    with pytest.raises(DataError, match="3 images for 4 ranks"):
        ValPlan(3, 1, 0, 4)
