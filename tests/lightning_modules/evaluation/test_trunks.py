"""Trunks are networks without heads, with the weights of files or of a cache."""

from pathlib import Path

import pytest
import torch
from tiny_encoder import NETWORK, save_network
from torchvision.models import get_model, get_model_weights

from datamodules.errors import DataError
from lightning_modules.evaluation.trunks import torchvision_trunk


@pytest.mark.parametrize(
    ("name", "width"), [("mobilenet_v3_small", 1024), ("shufflenet_v2_x0_5", 1024)]
)
def test_the_layer_of_logits_alone_is_left_out(name: str, width: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = get_model(name, weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "network.pth")
    trunk = torchvision_trunk(name, str(tmp_path / "network.pth"))
    images = torch.rand(2, 3, 64, 64)
    found = trunk.network(images)
    assert found.shape == (2, width)
    head = network.fc if hasattr(network, "fc") else network.classifier[-1]
    torch.testing.assert_close(head(found), network(images))
    assert trunk.mean == tuple(get_model_weights(name).DEFAULT.transforms().mean)


def test_weights_are_taken_from_the_cache_and_never_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    published = get_model_weights(NETWORK).DEFAULT.url
    place = tmp_path / "checkpoints" / published.rpartition("/")[2]
    with pytest.raises(FileNotFoundError, match=r"needs weights and .* does not exist: download"):
        torchvision_trunk(NETWORK, None)
    place.parent.mkdir()
    save_network(place)
    found, stored = torchvision_trunk(NETWORK, None).network.state_dict(), torch.load(place)
    assert found.keys() == {name for name in stored if not name.startswith("classifier.1")}
    assert all(torch.equal(value, stored[name]) for name, value in found.items())


def test_names_and_files_of_others_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="torchvision has no model 'resnet': name one"):
        torchvision_trunk("resnet", None)
    path = save_network(tmp_path / "network.pth")
    with pytest.raises(DataError, match=r"not hold the weights of torchvision's resnet18 .*--wei"):
        torchvision_trunk("resnet18", path)
