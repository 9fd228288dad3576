import itertools
from types import SimpleNamespace

import pytest
import torch
from tiny_shards import IMAGES, reference_keys, tiny_root, train_loader, train_stream

from datamodules import join, stream
from datamodules.collate import interleave
from datamodules.schema import Batch


def global_keys(rank_batches: list[list[Batch]], start: int, world: int, size: int) -> list[str]:
    """Keys of the batches of all ranks in the order of their positions."""
    keys: list[str] = []
    for number, batches in enumerate(zip(*rank_batches, strict=True)):
        keys += interleave(batches, start + number * world * size).keys
    return keys


def simulated(monkeypatch, root, size, rank, world, workers, start) -> list[Batch]:
    """One pass of a rank whose workers are asked in turn in this process."""
    streams = [train_stream(root, size, rank, world) for _ in range(workers)]
    shares = []
    for number, one in enumerate(streams):
        info = SimpleNamespace(id=number, num_workers=workers)
        monkeypatch.setattr(stream, "get_worker_info", lambda info=info: info)
        one.seek(start)
        shares.append([share.unpacked() for share in one])
    plan = streams[0].plan
    return [
        interleave(parts, int(plan.positions(start, number)[0]) // world)
        for number, parts in enumerate(zip(*shares, strict=True))
    ]


@pytest.mark.parametrize(("world", "workers"), list(itertools.product([1, 2, 3, 4], [1, 2, 3])))
def test_order_is_the_same_from_every_position_on_any_ranks_and_workers(
    root, monkeypatch, world, workers
):
    reference = reference_keys(5 * IMAGES)
    size = 2 if world < 3 else 3
    for start in range(3 * IMAGES):
        ranks = [
            simulated(monkeypatch, root, size, rank, world, workers, start) for rank in range(world)
        ]
        keys = global_keys(ranks, start, world, size)
        assert keys == reference[start : start + len(keys)]
        assert len(keys) == max(1, IMAGES // (world * size)) * world * size


@pytest.mark.parametrize(("world", "workers"), [(1, 0), (1, 1), (1, 3), (2, 2), (3, 1)])
def test_worker_processes_do_not_change_the_order(root, world, workers):
    loaders = [
        train_loader(root, 3, rank, world, num_workers=workers, position=7) for rank in range(world)
    ]
    passes = [[list(loader) for loader in loaders] for _ in range(3)]
    keys: list[str] = []
    for ranks in passes:
        keys += global_keys(ranks, 7 + len(keys), world, 3)
    assert keys == reference_keys(7 + len(keys))[7:]
    assert {loader.position for loader in loaders} == {7 + len(keys)}


def test_every_image_comes_once_an_epoch_whatever_the_batch(root):
    loader = train_loader(root, batch_size=4)
    seen = [key for _ in range(9) for batch in loader for key in batch.keys]
    for epoch in range(8):
        keys = seen[epoch * IMAGES : (epoch + 1) * IMAGES]
        assert len(set(keys)) == IMAGES


def test_world_size_and_batch_size_can_change_mid_epoch(root):
    keys: list[str] = []
    for world, size, batches in ((2, 3, 2), (3, 1, 4), (1, 5, 3), (4, 2, 1)):
        loaders = [train_loader(root, size, r, world, position=len(keys)) for r in range(world)]
        taken = [list(itertools.islice(loader, batches)) for loader in loaders]
        keys += global_keys(taken, len(keys), world, size)
    assert keys == reference_keys(len(keys))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_that_is_left_early_goes_on_at_the_next_batch(root, workers):
    loader = train_loader(root, num_workers=workers)
    first = [batch.keys for batch in itertools.islice(loader, 2)]
    assert loader.position == 6
    second = [batch.keys for batch in itertools.islice(loader, 3)]
    assert [key for keys in first + second for key in keys] == reference_keys(15)


def test_a_set_smaller_than_a_batch_repeats_by_whole_epochs(tmp_path):
    tiny_root(tmp_path, train=(2, 1), sidecars=False)
    (batch,) = list(train_loader(tmp_path, batch_size=7))
    assert len(set(batch.keys[:3])) == len(set(batch.keys[3:6])) == 3


def test_shards_before_the_position_are_not_opened(root, monkeypatch):
    opened = []

    def count(place, relative, expected, really=join.open_shard_file):
        opened.append(relative)
        return really(place, relative, expected)

    monkeypatch.setattr(join, "open_shard_file", count)
    loader = train_loader(root, batch_size=2, position=1000 * IMAGES + 13, lanes=2)
    next(iter(loader))
    assert len(opened) <= 2


def test_workers_and_one_process_give_equal_tensors(root):
    modalities = ("rgb", "depth", "mask", "rays")
    one = train_loader(root, batch_size=5, modalities=modalities, flip=True)
    two = train_loader(root, batch_size=5, modalities=modalities, flip=True, num_workers=2)
    for a, b in zip(one, two, strict=True):
        assert a.keys == b.keys
        assert a.image.stride() == b.image.stride()
        numbers = torch.tensor([int(key[1:]) for key in b.keys])
        assert torch.equal(a.image, b.image)
        assert torch.equal(b.image[:, 0, 0, 0].long(), numbers)
        assert torch.equal(a.depth.int(), b.depth.int())
        assert torch.equal(b.depth[:, 0, 0].long(), 100 + numbers)
        assert torch.equal(b.mask[:, 0, 0].long(), numbers % 3)
        assert torch.equal(b.label, numbers % 4)
        assert torch.equal(b.camera.cam2world[:, 0, 3].abs().long(), numbers)
        assert torch.equal(a.camera.cam2world, b.camera.cam2world)


def test_loading_draws_nothing_from_the_global_generator(root):
    state = torch.get_rng_state()
    list(train_loader(root, num_workers=1))
    assert torch.equal(state, torch.get_rng_state())
