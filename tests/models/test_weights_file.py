"""Files of weights that libraries publish, whole or not."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from models.weights_file import read_weights


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_of_every_format_of_torch_are_read(zipped: bool, tmp_path: Path) -> None:
    path, stored = tmp_path / "w.pth", {"a": torch.rand(3, 2), "b": torch.arange(4)}
    torch.save(stored, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert found.keys() == stored.keys()
    assert all(torch.equal(found[name], value) for name, value in stored.items())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ([1, 2], "its weights are a list"),
        (torch.zeros(3), "its weights are a Tensor"),
        ({1: torch.zeros(2)}, "one of its weights is called 1, which is no text"),
        ({"a": "x"}, "its weight 'a' is 'x', not a tensor"),
        ({"a": torch.tensor([1.0, float("nan")])}, "its weight 'a' is not finite"),
        ({"a": torch.eye(2).to_sparse()}, "its weight 'a' is not an array of real numbers"),
        ({"a": os.getcwd}, "torch can't read it"),
    ],
)
def test_other_content_is_told(stored: Any, words: str, zipped: bool, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=words):
        read_weights(tmp_path / "w.pth")


# The third ends in an IndexError of torch's unpickler, the fourth in its OSError.
@pytest.mark.parametrize("data", [b"", b"x" * 3000, b"\x80\x02]q\x00(K", b"PK\x03\x04" + bytes(99)])
def test_no_bytes_end_in_another_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"it is empty|torch can't read it|cut short"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_at_any_length_is_refused(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.rand(500)}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 37):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"it is empty|torch can't read it|cut short"):
            read_weights(path)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="it is no regular file"):
        read_weights(tmp_path / "pipe")
