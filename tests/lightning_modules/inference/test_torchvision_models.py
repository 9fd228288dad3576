"""Classifiers of torchvision are opened from the files that torchvision publishes."""

import re
from pathlib import Path

import pytest
import torch
from tiny_encoder import NETWORK, save_network
from torchvision.models import get_model

from datamodules.errors import DataError
from lightning_modules.inference.torchvision_models import open_torchvision, torchvision_names


def test_classifiers_are_listed_and_nothing_else() -> None:
    assert {"resnet50", NETWORK} <= set(torchvision_names())
    assert "fcn_resnet50" not in torchvision_names()


def test_the_old_names_of_densenets_weights_are_understood(tmp_path: Path) -> None:
    stored = get_model("densenet121", weights=None).state_dict()
    old = {re.sub(r"(denselayer\d+\.\w{4})([12])", r"\1.\2", k): v for k, v in stored.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "dense.pth")
    found = open_torchvision("densenet121", tmp_path / "dense.pth", "--weights").state_dict()
    assert all(torch.equal(found[name], value) for name, value in stored.items())


def test_googlenet_sees_images_as_its_published_weights_do(tmp_path: Path) -> None:
    stored = get_model("googlenet", weights=None, init_weights=False).state_dict()
    torch.save(stored, tmp_path / "google.pth")
    network = open_torchvision("googlenet", tmp_path / "google.pth", "--weights")
    assert network.transform_input
    assert not network.training


def test_what_can_not_be_opened_names_the_option(tmp_path: Path) -> None:
    path = save_network(tmp_path / "network.pth")
    with pytest.raises(DataError, match="torchvision has no model 'resnet': name one"):
        open_torchvision("resnet", path, "--weights")
    with pytest.raises(FileNotFoundError, match=r"no file none\.pth: check --weights"):
        open_torchvision(NETWORK, "none.pth", "--weights")
    with pytest.raises(
        DataError, match=r"network\.pth does not hold .* resnet18 .*check --weights"
    ):
        open_torchvision("resnet18", path, "--weights")
