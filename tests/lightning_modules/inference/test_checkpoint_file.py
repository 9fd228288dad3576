import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import save_stage1, spread_model

from datamodules.errors import DataError
from lightning_modules.inference.checkpoint_file import DamagedCheckpointError, read_checkpoint
from lightning_modules.inference.loading import load_stage1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(save_stage1(spread_model(), tmp_path / "last.ckpt"))


def flipped(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The data with a bit flipped: every one of the first and last 2000 bytes, some between."""
    rng = np.random.default_rng(0)
    middle = rng.integers(2000, len(data) - 2000, 300).tolist()
    for place in [*range(2000), *middle, *range(len(data) - 2000, len(data))]:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        yield place, bytes(changed)


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return bool(first == second)


def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "flipped.ckpt"
    whole = {"state_dict": {"a": torch.rand(900), "b": torch.arange(5)}, "model": {"x": [1, 2.5]}}
    torch.save(whole, path)
    noticed = 0
    for place, data in flipped(path.read_bytes()):
        path.unlink()
        path.write_bytes(data)
        try:
            found = read_checkpoint(path).content
        except DamagedCheckpointError:
            noticed += 1
            continue
        assert same(whole, found), place
    assert noticed > 2000


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999, 0.99999])
def test_a_file_cut_at_any_length_is_refused_and_a_whole_one_beside_it_named(
    share: float, path: Path
) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    (path.parent / "previous.ckpt").write_bytes(b"not whole either")
    (path.parent / "best.ckpt").write_bytes(data)
    with pytest.raises(DamagedCheckpointError, match=r"last\.ckpt is no .*best\.ckpt is whole\.$"):
        load_stage1(path)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(DataError, match="it is no regular file"):
        read_checkpoint(tmp_path / "pipe.ckpt")


def test_a_missing_file_is_told_with_one_that_is_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"name a file, e\.g\. last\.ckpt\."):
        read_checkpoint(path.with_name("best.ckpt"))


BOMB = 10**12
LARGE = {"width": 16, "depth": BOMB, "heads": 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: torch.zeros(3), "it holds a Tensor"),
        (lambda c: [1, 2], "it holds a list"),
        (lambda c: None, "it holds None"),
        (lambda c: {"state_dict": {}}, r"it holds \['state_dict'\]"),
        (lambda c: c | {"state_dict": [1]}, "its weights are a list"),
        (lambda c: c | {"state_dict": {"ema.x": 3}}, "weight 'ema.x' is 3, not a tensor"),
        (lambda c: c | {"state_dict": {5: torch.zeros(1)}}, "one of its weights is called 5"),
        (lambda c: c | {"state_dict": {}}, "lacks averaged weights that fit"),
        (lambda c: c | {"model": 7}, "recipe is 7, not a class"),
        (lambda c: c | {"model": ["models.vq3d.VQ3D"]}, "recipe is a list"),
        (lambda c: c | {"model": {"class_path": 3}}, "class_path of the model is 3, not str"),
        (lambda c: c | {"model": {"class_path": "os.system"}}, "names the model class 'os.system'"),
        (lambda c: argument(c, {"resolution": "16"}), "VQ3D.resolution is '16', not int"),
        (lambda c: argument(c, {"resolution": True}), "VQ3D.resolution is True, not int"),
        (lambda c: argument(c, {"encoder": "/etc/hostname"}), "VQ3D.encoder is '/etc/hostname'"),
        (lambda c: argument(c, {"field_hidden": -1}), "field_hidden|can't be built"),
        (lambda c: argument(c, {"patch": 0}), "patch|can't be built"),
        (lambda c: argument(c, {"nothing": 1}), "VQ3D has 'nothing', which is none of"),
        (lambda c: argument(c, {"codebook": {"codes": BOMB, "width": 4}}), "fit|codes"),
        (lambda c: argument(c, {"encoder": LARGE}), "far more parameters|depth"),
        (lambda c: argument(c, {"resolution": 10**400}), "VQ3D|can't be built|resolution"),
    ],
)
def test_malformed_content_ends_in_a_sentence(change: Any, said: str, path: Path) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(change(content), path)
    with pytest.raises(DataError, match=said) as refused:
        load_stage1(path)
    assert str(refused.value).startswith(str(path))
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def argument(content: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    recipe = content["model"]
    return content | {"model": recipe | {"init_args": recipe["init_args"] | changed}}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float, path: Path) -> None:
    content = torch.load(path, weights_only=True)
    content["state_dict"]["ema.quantizer.codebook"][0, 0] = value
    torch.save(content, path)
    with pytest.raises(DataError, match=r"weights that are not finite \(quantizer\.codebook\)"):
        load_stage1(path)


def test_weights_of_another_shape_or_kind_are_named(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    content["state_dict"]["ema.quantizer.codebook"] = torch.zeros(8, 4, dtype=torch.long)
    torch.save(content, path)
    with pytest.raises(DataError, match=r"a VQ3D with quantizer\.codebook of shape \[8, 4\], num"):
        load_stage1(path)
