import fsspec
import pytest
from tiny_shards import SIDE, reference_keys

from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule


def first_keys(root: str, workers: int = 0) -> list[str]:
    datamodule = ShardDataModule(root, SIDE, 4, depth=True, num_workers=workers, lanes=4)
    datamodule.setup()
    return [key for batch in datamodule.train_dataloader() for key in batch.keys]


@pytest.mark.parametrize("form", ["pipe:cat {root}", "pipe:cat {root}/{{}}", "file://{root}"])
def test_a_remote_root_reads_as_the_local_one(root, form):
    assert first_keys(form.format(root=root)) == reference_keys(20)


def test_object_stores_are_read_through_fsspec(root):
    fsspec.filesystem("memory").put(str(root), "/bucket", recursive=True)
    assert first_keys("memory://bucket") == reference_keys(20)


def test_workers_read_remote_roots(root):
    assert first_keys(f"pipe:cat {root}", workers=2) == reference_keys(20)


def test_other_bytes_than_the_manifest_promises_are_refused(own_root):
    path = own_root / "train/depth-000002.tar"
    path.write_bytes(path.read_bytes()[:-512] + bytes(511) + b"x")
    with pytest.raises(DataError, match=r"depth-000002.tar arrived with .* bytes that are not"):
        first_keys(f"pipe:cat {own_root}")


def test_a_root_that_is_not_there_is_told_in_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"is not a shard root"):
        first_keys(f"pipe:cat {tmp_path}/absent")
