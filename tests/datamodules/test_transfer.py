"""Batches moved in one block, by a mover whose GPU is the CPU, or memory that holds nothing."""

import itertools
import threading

import pytest
import torch
from damages import DAMAGES
from stub_gpu import Copies, CountedMover
from tiny_shards import SIDE, reference_keys, train_loader
from waiting import wait_for

from datamodules import loader as loaders
from datamodules import stream_datamodule
from datamodules.collate import interleave
from datamodules.errors import DataError
from datamodules.packing import ALIGNMENT
from datamodules.shard_datamodule import ShardDataModule
from datamodules.transfer import Mover, mover_to

ALL = ("rgb", "depth", "mask", "rays")
CPU, NOWHERE = torch.device("cpu"), torch.device("meta")
pytestmark = pytest.mark.usefixtures("streams")


def equal(one, two):
    assert one.keys == two.keys
    for a, b in zip(one.tensors(), two.tensors(), strict=True):
        assert a.dtype == b.dtype
        assert a.stride() == b.stride()
        assert torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))


@pytest.fixture
def batch(root):
    return next(iter(train_loader(root, batch_size=4, modalities=ALL)))


def shares_of(batch, workers, first):
    """What each of the workers decodes of a batch, None where that is nothing."""
    rows = [[n for n in range(4) if (first + n) % workers == worker] for worker in range(workers)]
    return [batch[own] if own else None for own in rows]


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("first", [0, 1, 5])
def test_shares_are_merged_into_aligned_views_of_one_block(batch, workers, first):
    moving = Mover(CPU).start(shares_of(batch, workers, first), first)
    moved = moving.received()
    equal(moved, batch)
    equal(interleave(shares_of(batch, workers, first), first), batch)
    assert moved.image.is_contiguous(memory_format=torch.channels_last)
    for tensor in moved.tensors():
        assert tensor.untyped_storage().data_ptr() == moving.block.data_ptr()
        assert tensor.storage_offset() * tensor.itemsize % ALIGNMENT == 0


def test_computing_waits_for_the_copy_and_keeps_its_block(batch, streams):
    moving = Mover(CPU).start([batch], 0)
    assert streams == ["copying begins", "copying records"]
    moving.received()
    kept = f"block of {moving.block.nbytes} is kept for computing"
    assert streams[2:] == ["computing waits for copied", kept]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_one_copy(root, workers):
    mover = CountedMover(NOWHERE)
    loader = train_loader(root, modalities=ALL, num_workers=workers, mover=mover)
    with Copies() as further:
        for batch in loader:
            assert {tensor.device for tensor in batch.tensors()} == {NOWHERE}
            batch.to(NOWHERE)  # as Lightning does
    assert mover.copies == [1] * len(loader)
    assert further.count == 0
    with Copies() as one_by_one:
        still = next(iter(train_loader(root, modalities=ALL))).to(NOWHERE)
    assert one_by_one.count == len(still.tensors()) == 9
    assert [t.stride() for t in batch.tensors()] == [t.stride() for t in still.tensors()]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_moved_batches_are_those_that_are_not(root, workers):
    wanted = {"modalities": ALL, "flip": True, "position": 7, "num_workers": workers}
    still, moved = train_loader(root, **wanted), train_loader(root, **wanted, mover=Mover(CPU))
    for one, two in zip(itertools.chain(still, still), itertools.chain(moved, moved), strict=True):
        equal(one, two)
        assert moved.position == still.position


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_goes_on_after_the_last_batch_given_not_the_last_fetched(root, workers):
    loader = train_loader(root, num_workers=workers, mover=Mover(CPU))
    held, keys = [], []
    for count in (2, 1, 3):
        held.append(iter(loader))  # not let go of: a thread of an earlier pass must not interfere
        keys += [key for _ in range(count) for key in next(held[-1]).keys]
        assert loader.position == len(keys)
    assert keys == reference_keys(18)


def test_the_next_batch_moves_while_one_is_used(root):
    mover = CountedMover(CPU)
    batches = iter(train_loader(root, mover=mover))
    for number in range(1, 4):
        next(batches)
        wait_for(lambda number=number: len(mover.copies) == number + 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_damage_is_told_in_its_turn_and_skips_are_counted_in_theirs(own_root, workers):
    spoil, sentence, lost = DAMAGES["undecodable image"]
    spoil(own_root)
    wanted = {"modalities": ("rgb", "depth", "mask"), "num_workers": workers}
    come = [[], []]
    for found, mover in zip(come, (None, Mover(CPU)), strict=True):
        batches = train_loader(own_root, 2, **wanted, mover=mover)
        with pytest.raises(DataError, match=sentence):
            found.extend(batch.keys for batch in batches)
    assert come[0] == come[1]

    skipping = {"on_error": "skip", "max_skipped_share": 0.5}
    still = train_loader(own_root, 2, **wanted, **skipping)
    moved = train_loader(own_root, 2, **wanted, **skipping, mover=Mover(CPU))
    counts = [(still.skipped, moved.skipped) for _ in zip(still, moved, strict=True)]
    assert all(a == b for a, b in counts)
    assert moved.skipped == lost
    strict = train_loader(own_root, 2, on_error="skip", mover=Mover(CPU))
    with pytest.raises(DataError, match="more than max_skipped_share 0"):
        list(strict)


def test_the_death_of_a_worker_is_told_in_the_training_thread(root, monkeypatch):
    loader = train_loader(root, mover=Mover(CPU))
    with monkeypatch.context() as dying:
        dying.setattr(loader, "_start", dead)
        with pytest.raises(RuntimeError, match="exited unexpectedly"):
            next(iter(loader))
    assert next(iter(loader)).keys


def dead(position):
    """What torch says where workers have died, whose signal the training thread gets besides."""
    raise RuntimeError("DataLoader worker (pid 1) exited unexpectedly")
    yield


def test_the_end_of_a_run_ends_thread_and_workers(root):
    loader = train_loader(root, num_workers=2, mover=Mover(CPU))
    for _ in range(2):
        batches = iter(loader)
        next(batches)
        workers, thread = loader._shares._workers, loader._ahead._thread
        assert loader._iterator is None
        loader._iterator = None  # as Lightning does
        assert not any(worker.is_alive() for worker in workers)
        assert not thread.is_alive()
        assert list(batches) == []


def test_a_thread_that_waits_for_ever_does_not_hold_up_the_end(root, monkeypatch):
    monkeypatch.setattr(loaders, "_PATIENCE", 0.01)
    loader = train_loader(root, num_workers=1, mover=Mover(CPU))
    going, merge = threading.Event(), loader._merge

    def slow(shares, start):
        for merged in merge(shares, start):
            going.wait()
            yield merged

    monkeypatch.setattr(loader, "_merge", slow)
    loader._batches()
    loader.close()
    assert loader._shares is None
    going.set()


def test_only_gpus_have_movers(monkeypatch):
    assert mover_to("cpu") is None
    assert mover_to(torch.device("mps")) is None
    assert isinstance(mover_to("cuda:1"), Mover)


class Run:
    """A trainer that computes somewhere."""

    def __init__(self, device: str) -> None:
        self.strategy = self
        self.root_device = torch.device(device)


def test_a_datamodule_moves_batches_to_where_the_run_computes(root, monkeypatch):
    monkeypatch.setattr(stream_datamodule, "mover_to", CountedMover)
    datamodule = ShardDataModule(str(root), SIDE, 4, num_workers=0)
    datamodule.setup()
    assert next(iter(datamodule.train_dataloader())).image.device == CPU
    datamodule.trainer = Run("meta")
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader()):
        assert next(iter(loader)).image.device == NOWHERE
