"""Distances of images: of VGG16's features where its weights are, else of pixels."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.inversion import distance
from lightning_modules.inference.inversion.distance import (
    FeatureDistance,
    PixelDistance,
    open_distance,
)
from lightning_modules.losses.perceptual import VGG16_FILE, find_vgg16_weights


class FakeLoss:
    """Stands for LPIPS, which has tests of its own."""

    def __init__(self, path: str | None) -> None:
        self.path = find_vgg16_weights(path)

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        return (predicted - target).abs().max()


def test_pixels_are_compared_at_every_scale() -> None:
    apart, noise = PixelDistance(), torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, 32, 32, generator=noise)
    assert apart(photo, photo) == 0
    assert float(apart(photo + 0.1, photo)) == pytest.approx(0.01, rel=1e-4)
    # A chequerboard is seen at the finest of three scales only.
    board = torch.ones(32, 32)
    board[::2, ::2] = board[1::2, 1::2] = -1
    assert float(apart(photo + 0.1 * board, photo)) == pytest.approx(0.01 / 3, rel=1e-4)
    small = torch.rand(1, 3, 8, 8, generator=noise)
    assert float(apart(small + 0.1, small)) == pytest.approx(0.01, rel=1e-4)


def test_features_are_compared_where_their_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(distance, "PerceptualLoss", FakeLoss)
    assert isinstance(open_distance(None, 64), PixelDistance)
    cached, elsewhere = tmp_path / "checkpoints" / VGG16_FILE, tmp_path / "vgg.pth"
    cached.parent.mkdir()
    for path in (cached, elsewhere):
        path.touch()
    for given, expected in ((None, cached), (str(elsewhere), elsewhere)):
        found = open_distance(given, 64)
        assert isinstance(found, FeatureDistance)
        assert found.loss.path == expected
        assert float(found(torch.tensor([0.0, 0.3]), torch.zeros(2))) == pytest.approx(0.3)
    assert isinstance(open_distance(None, 8), PixelDistance)  # VGG16 halves 16 pixels four times


def test_weights_that_are_named_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "vgg.pth"
    with pytest.raises(DataError, match=r"no file .*vgg\.pth with VGG16's weights: check --percep"):
        open_distance(str(path), 64)
    path.write_text("nothing")
    with pytest.raises(DataError, match=r"is not a torchvision VGG16 state dict.*--perceptual_w"):
        open_distance(str(path), 64)
