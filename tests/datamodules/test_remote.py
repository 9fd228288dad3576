import os

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


def test_no_more_is_copied_than_the_manifest_says(own_root):
    depth = own_root / "train/depth-000002.tar"
    depth.write_bytes(depth.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"depth-000002.tar has more than the \d+ bytes of the man"):
        first_keys(f"pipe:cat {own_root}")
    with pytest.raises(DataError, match=r"depth-000002.tar has more than the \d+ bytes of the man"):
        first_keys(f"file://{own_root}")


def test_a_command_that_never_ends_is_ended(own_root):
    endless = f"pipe:case {{}} in *.json) cat {own_root}/{{}};; *) yes;; esac"
    with pytest.raises(DataError, match=r"has more than the \d+ bytes of the manifest"):
        first_keys(endless)
    with pytest.raises(DataError, match=r"manifest.json is larger than the 16 MiB that"):
        first_keys("pipe:yes {}")


def test_urls_of_files_do_not_wait_for_what_is_no_file(own_root):
    (own_root / "train/depth-000002.tar").unlink()
    os.mkfifo(own_root / "train/depth-000002.tar")
    with pytest.raises(DataError, match=r"depth-000002.tar is a FIFO, not a file"):
        first_keys(f"file://{own_root}")


def test_a_shorter_file_is_refused(own_root):
    path = own_root / "train/depth-000002.tar"
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(DataError, match=r"arrived with \d+ bytes that are not the \d+ bytes of"):
        first_keys(f"pipe:cat {own_root}")


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("pipe:exit 3 #", "the command ended with exit code 3"),
        ("pipe:printf abc; exit 4 #", "the command ended with exit code 4"),
        ("http://[nonsense", "is neither a path nor a url"),
        ("http://127.0.0.1:1/shards", "the host takes no connection|No such file or directory"),
        ("nonsense://shards", "Protocol not known: nonsense"),
        ("pipe:printf '{{}}'", "is not a shard manifest"),
        ("pipe:printf '\\377'", "is not a shard root, manifest.json cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(root, reason):
    with pytest.raises(DataError, match=reason) as caught:
        first_keys(root)
    assert "\n" not in str(caught.value)


def test_a_root_that_is_not_there_is_told_in_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"is not a shard root"):
        first_keys(f"pipe:cat {tmp_path}/absent")
