"""One image of a shard root by its key."""

from pathlib import Path

import pytest
from tiny_samples import SIDE
from tiny_shards import tiny_root

from datamodules.errors import DataError
from datamodules.lookup import find_image, is_shard_root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lookup")
    tiny_root(folder)
    return folder


@pytest.mark.parametrize("number", [22, 101])
def test_an_image_of_either_split_comes_with_its_sidecars(root: Path, number: int) -> None:
    batch = find_image(root, f"k{number:03d}", SIDE)
    assert batch.keys == (f"k{number:03d}",)
    assert batch.image.shape == (1, 3, SIDE, SIDE)
    assert (batch.image == number).all()
    assert (batch.mask == number % 3).all()
    assert batch.rays is not None
    assert (batch.rays.origins[..., 0] == number).all()


def test_it_does_without_sidecars(tmp_path: Path) -> None:
    tiny_root(tmp_path, sidecars=False)
    batch = find_image(tmp_path, "k000", SIDE)
    assert batch.mask is None
    assert batch.rays is None


def test_what_is_not_there_is_told(root: Path) -> None:
    with pytest.raises(DataError, match="has no image k999; it has k100, k110, k000, for example"):
        find_image(root, "k999", SIDE)
    with pytest.raises(DataError, match="key k000: it is 4 x 4, smaller than resolution 5"):
        find_image(root, "k000", SIDE + 1)
    assert is_shard_root(root)
    assert not is_shard_root(root / "train")
