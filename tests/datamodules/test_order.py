from itertools import pairwise

import numpy as np
import pytest

from datamodules.order import LaneOrder, StorageOrder

SIZES = [5, 3, 7, 1, 6]
IMAGES = sum(SIZES)


def epoch(order: LaneOrder, number: int) -> list[tuple[int, int]]:
    places = order.locate(np.arange(number * IMAGES, (number + 1) * IMAGES))
    assert {place.epoch for place in places} == {number}
    return [(place.shard, place.row) for place in places]


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 7, 22, 64])
def test_every_image_comes_once_in_every_epoch(lanes):
    order = LaneOrder(SIZES, seed=3, lanes=lanes)
    everything = [(shard, row) for shard, size in enumerate(SIZES) for row in range(size)]
    for number in range(4):
        assert sorted(epoch(order, number)) == everything


def test_order_is_a_function_of_position_however_it_is_asked_for():
    positions = np.random.default_rng(0).permutation(3 * IMAGES)
    asked_at_once = LaneOrder(SIZES, 1, 4).locate(np.arange(3 * IMAGES))
    order = LaneOrder(SIZES, 1, 4)
    for position in positions:
        assert order.locate(np.array([position])) == [asked_at_once[position]]


def test_seeds_and_epochs_give_other_orders():
    orders = [epoch(LaneOrder(SIZES, seed, 4), number) for seed in (0, 1) for number in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


def test_order_is_pinned_so_that_an_upgrade_cannot_change_a_run():
    places = LaneOrder([3, 2], seed=0, lanes=2).locate(np.arange(5))
    assert [(place.shard, place.row) for place in places] == [
        (0, 2),
        (1, 1),
        (0, 1),
        (1, 0),
        (0, 0),
    ]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_lane_reads_one_shard_after_another(number):
    lanes = 3
    order = LaneOrder(SIZES, seed=5, lanes=lanes)
    positions = np.arange(number * IMAGES, (number + 1) * IMAGES)
    for lane in range(lanes):
        shards = [place.shard for place in order.locate(positions[positions % lanes == lane])]
        changes = sum(a != b for a, b in pairwise(shards))
        assert changes == len(set(shards)) - 1


def test_lanes_mix_distant_shards_from_the_first_batch_on():
    places = LaneOrder([1000] * 1281, seed=0, lanes=64).locate(np.arange(64))
    assert len({place.shard for place in places}) == 64


def test_storage_order_is_that_of_the_shards():
    places = StorageOrder([2, 1, 3]).locate(np.arange(6))
    assert [(p.shard, p.row) for p in places] == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]
