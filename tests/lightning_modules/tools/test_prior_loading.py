"""A prior comes with the stage-1 model it was trained with, or is refused."""

from pathlib import Path

import pytest
import torch
from tiny_checkpoints import (
    CLASSES,
    TinyFiles,
    autoregressive,
    save_prior,
    save_stage1,
    spread_model,
)

from datamodules.errors import DataError
from lightning_modules.inference.loading import load_prior, load_stage1, weights_hash


@pytest.mark.parametrize("kind", ["autoregressive", "masked"])
def test_the_averaged_prior_comes_with_its_stage1_model(kind: str, tiny_files: TinyFiles) -> None:
    path = getattr(tiny_files, kind)
    loaded = load_prior(path)
    stored = torch.load(path, weights_only=True)
    assert loaded.classes == CLASSES
    prior = loaded.generator.prior
    assert prior.recipe() == stored["model"]
    for name, value in prior.state_dict().items():
        assert torch.equal(value, stored["state_dict"][f"ema.{name}"])
    assert not prior.training
    assert not any(p.requires_grad for p in prior.parameters())
    assert weights_hash(loaded.generator.autoencoder) == stored["stage1"]["hash"]


def test_a_moved_stage1_checkpoint_is_asked_for_and_found(tmp_path: Path) -> None:
    model = spread_model()
    gone, moved = tmp_path / "gone.ckpt", save_stage1(model, tmp_path / "moved.ckpt")
    prior = save_prior(autoregressive(model), model, str(gone), tmp_path / "prior.ckpt")
    expected = rf"prior\.ckpt needs the stage-1 checkpoint {gone}, .* with --stage1\."
    with pytest.raises(DataError, match=expected):
        load_prior(prior)
    found = load_prior(prior, moved).generator.autoencoder
    assert weights_hash(found) == weights_hash(model)
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .*elsewhere\.ckpt"):
        load_prior(prior, str(tmp_path / "elsewhere.ckpt"))


def test_a_retrained_stage1_checkpoint_is_refused(tmp_path: Path) -> None:
    model, retrained = spread_model(), spread_model(1)
    path = save_stage1(retrained, tmp_path / "best.ckpt")
    prior = save_prior(autoregressive(model), model, path, tmp_path / "prior.ckpt")
    old, new = weights_hash(model)[:12], weights_hash(retrained)[:12]
    with pytest.raises(DataError, match=rf"stage-1 weights {old}, {path} holds {new}: .*--stage1"):
        load_prior(prior)


def test_checkpoints_of_the_other_stage_are_named(tiny_files: TinyFiles) -> None:
    with pytest.raises(DataError, match=r"is a stage-1 checkpoint: drawing tokens takes one of a"):
        load_prior(tiny_files.stage1)
    with pytest.raises(DataError, match=r"is no stage-1 checkpoint: its model is a MaskedPrior"):
        load_stage1(tiny_files.masked)
