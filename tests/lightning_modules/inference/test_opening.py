"""Checkpoints are opened as what they hold, or refused."""

from pathlib import Path

import pytest
from tiny_classes import save_classifier
from tiny_gan import save_gan

from datamodules.errors import DataError
from lightning_modules.inference.opening import open_maker


def test_a_checkpoint_that_makes_no_scenes_is_refused(tmp_path: Path) -> None:
    path = save_classifier(tmp_path / "classifier.ckpt")
    sentence = r"is no checkpoint of a stage-1 model, a prior or a GAN: its model is a SmallClassi"
    with pytest.raises(DataError, match=sentence):
        open_maker(path)


def test_a_gan_has_no_stage1(tmp_path: Path) -> None:
    path = save_gan(tmp_path / "gan.ckpt")
    with pytest.raises(DataError, match=r"--stage1 is a\.ckpt, but .* which has no stage 1"):
        open_maker(path, "a.ckpt")
