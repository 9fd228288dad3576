"""Image encoders are opened by name or path, with their own preprocessing."""

import sys
from pathlib import Path

import pytest
import torch
from tiny_classes import tiny_classifier
from tiny_encoder import NETWORK, WIDTH, save_network

from datamodules.errors import DataError
from lightning_modules.evaluation.image_encoders import open_encoder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_network(tmp_path_factory.mktemp("network") / "network.pth")


def test_vectors_have_length_one_and_do_not_depend_on_autocast(weights: str) -> None:
    encoder = open_encoder(f"torchvision:{NETWORK}", weights, side=40)
    assert (encoder.width, encoder.side, len(encoder.weights)) == (WIDTH, 40, 64)
    images = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    found = encoder(images)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    assert not found.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder(images), found)
    torch.testing.assert_close(torch.cat([encoder(one[None]) for one in images]), found)


def test_the_side_is_that_of_training_unless_given(weights: str) -> None:
    assert open_encoder(f"torchvision:{NETWORK}", weights).side == 224


def test_a_classifier_gives_its_features(classifier: str) -> None:
    encoder, model = open_encoder(classifier), tiny_classifier()
    assert encoder.name.startswith("classifier-tiny-")
    images = torch.rand(2, 3, encoder.side, encoder.side)
    features = model.features(images)
    torch.testing.assert_close(encoder(images), features / features.norm(dim=1, keepdim=True))


def test_what_is_no_encoder_is_told(weights: str, classifier: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--weights is w\.pth, but only networks of torchvision"):
        open_encoder(classifier, "w.pth")
    with pytest.raises(DataError, match="--pool is mean, but only models of transformers have"):
        open_encoder(f"torchvision:{NETWORK}", weights, pool="mean")
    with pytest.raises(DataError, match=r"no file resnet50: name .* torchvision:NAME or"):
        open_encoder("resnet50")
    with pytest.raises(DataError, match=r"squeezenet1_1 takes no images of 3 pixels .*--side"):
        open_encoder(f"torchvision:{NETWORK}", weights, side=3)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DataError, match=r"not installed: pip install 'wild3d\[semantics\]'\."):
        open_encoder("transformers:x")
