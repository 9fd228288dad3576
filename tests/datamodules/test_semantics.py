"""Semantic feature vectors, from the json of an image to the batch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_samples import SIDE, tiny_sample

from datamodules.build.driver import build_shards
from datamodules.errors import DataError
from datamodules.sample_record import read_semantics
from datamodules.shard_datamodule import ShardDataModule

WIDTH = 2


@pytest.fixture(scope="module")
def semantic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of 5 images; the odd ones have semantics (number, 0.5)."""
    folder = tmp_path_factory.mktemp("semantics")

    def samples(split: str, shard: int):
        for number in range(5 * shard, 5 * shard + 5):
            plain = tiny_sample(number, False)
            known = {"semantics": [number, 0.5]} if number % 2 else {}
            yield replace(plain, json_record={**plain.json_record, **known})

    build_shards(folder, {"train": [5, 5]}, samples, 1, list("abcd"), SIDE, {"tool": "test"})
    return folder


def batches(root, **settings):
    datamodule = ShardDataModule(str(root), SIDE, 5, lanes=4, **settings)
    datamodule.setup()
    return list(datamodule.train_dataloader())


@pytest.mark.parametrize("workers", [0, 2])
def test_known_vectors_come_and_unknown_ones_are_nan(semantic_root, workers):
    for batch in batches(semantic_root, semantics=WIDTH, num_workers=workers):
        semantics = batch.attributes.semantics
        assert (semantics.shape, semantics.dtype) == ((5, WIDTH), torch.float32)
        numbers = torch.tensor([int(key[1:]) for key in batch.keys])
        known = numbers % 2 == 1
        assert torch.equal(semantics[known, 0].long(), numbers[known])
        assert (semantics[known, 1] == 0.5).all()
        assert semantics[~known].isnan().all()


def test_they_are_left_out_unless_asked_for(semantic_root):
    assert batches(semantic_root, num_workers=0)[0].attributes.semantics is None


def test_another_length_names_both(semantic_root):
    with pytest.raises(DataError, match=r"key k\d+: its semantics has 2 numbers, the .* is 7"):
        batches(semantic_root, semantics=7, num_workers=0)


@pytest.mark.parametrize(
    "values",
    [
        "road",
        [1, "road"],
        [1, {}],
        [[1, 2], [3, 4]],
        [1, float("inf")],
        [1, None],
    ],
)
def test_what_is_no_vector_is_named(values):
    with pytest.raises(ValueError, match="its semantics is no list of 2 finite numbers"):
        read_semantics({"semantics": values}, WIDTH)
