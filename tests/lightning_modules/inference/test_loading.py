from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_model import tiny_model

from datamodules.errors import DataError
from lightning_modules.inference.loading import load_stage1, weights_hash


def test_the_averaged_model_is_loaded_ready_for_use(tmp_path: Path) -> None:
    model, average = tiny_model(0), tiny_model(1)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    weights |= {f"ema.{name}": value for name, value in average.state_dict().items()}
    checkpoint = {"state_dict": weights, "model": model.recipe(), "images_seen": 7}
    torch.save(checkpoint, tmp_path / "best.ckpt")
    loaded = load_stage1(tmp_path / "best.ckpt")
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(loaded.encode(images).vectors, average.encode(images).vectors)
    assert not torch.equal(loaded.encode(images).vectors, model.encode(images).vectors)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.ckpt", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"There is no checkpoint {path}: name a file"):
            load_stage1(path)


@pytest.mark.parametrize("content", [b"", b"not made by torch"])
def test_a_file_that_is_not_a_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.ckpt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.ckpt is no stage-1 checkpoint"):
        load_stage1(path)


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.ckpt"
    torch.save({"state_dict": {"ema.weight": torch.zeros(1000)}, "model": {}}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"half\.ckpt is no stage-1 checkpoint"):
        load_stage1(path)


def test_another_kind_of_checkpoint_is_named_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"weights": torch.zeros(1), "epoch": 3}, path)
    with pytest.raises(DataError, match=r"is no stage-1 checkpoint: it holds \['epoch', 'weig"):
        load_stage1(path)


def test_a_checkpoint_cannot_name_code_of_others(tmp_path: Path) -> None:
    path = tmp_path / "foreign.ckpt"
    recipe = {"class_path": "torch.nn.Identity", "init_args": {}}
    torch.save({"state_dict": {}, "model": recipe}, path)
    with pytest.raises(DataError, match=r"names the model class 'torch\.nn\.Identity'"):
        load_stage1(path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "field.ckpt"
    recipe = {"class_path": "models.blocks.field.TriplaneField", "init_args": {"channels": 4}}
    torch.save({"state_dict": {}, "model": recipe}, path)
    with pytest.raises(DataError, match=r"field\.ckpt.*its model is a TriplaneField"):
        load_stage1(path)


def test_the_hash_tells_weights_apart_and_nothing_else() -> None:
    model, same, other = tiny_model(0), tiny_model(0), tiny_model(1)
    assert weights_hash(model) == weights_hash(same)
    assert len(weights_hash(model)) == 64
    assert weights_hash(model) != weights_hash(other)
    same.quantizer.codebook.data[0, 0] += 1e-6
    assert weights_hash(model) != weights_hash(same)
    same.load_state_dict(model.state_dict())
    same.view = replace(model.view, radius=3.0)  # tokens do not depend on it
    assert weights_hash(model) == weights_hash(same)
    assert weights_hash(model) != weights_hash(tiny_model(0).double())
