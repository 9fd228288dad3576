from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from datamodules.errors import DataError
from lightning_modules.losses.perceptual import (
    IN_EVALUATION,
    VGG16_FILE,
    PerceptualLoss,
    cached_weights,
    find_vgg16_weights,
    load_lpips,
)

LAST_LAYERS = (3, 8, 15, 22, 29)
"""The last ReLU before each pooling of VGG16, and the very last."""


@pytest.fixture(scope="module")
def trunk() -> nn.Sequential:
    """VGG16's convolutions with random weights that keep the size of their input."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["D"], batch_norm=False)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return layers.requires_grad_(False)


@pytest.fixture(scope="module")
def loss(trunk: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> PerceptualLoss:
    path = tmp_path_factory.mktemp("vgg") / VGG16_FILE
    torch.save({f"features.{name}": value for name, value in trunk.state_dict().items()}, path)
    return PerceptualLoss(str(path))


def images(seed: int) -> Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def features(trunk: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Unit-normalised features of five layers, of images normalised as ImageNet's."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / std[:, None, None]
    kept = []
    for index, layer in enumerate(trunk[:-1]):  # without the last pooling
        x = layer(x)
        if index in LAST_LAYERS:
            kept.append(F.normalize(x, dim=1))
    return kept


def test_distance_is_the_published_formula(trunk: nn.Sequential, loss: PerceptualLoss) -> None:
    first, second = images(0), images(1)
    expected = torch.zeros(2)
    heads = [loss.network.get_submodule(f"lin{i}.model.1").weight for i in range(5)]
    for a, b, head in zip(features(trunk, first), features(trunk, second), heads, strict=True):
        expected += F.conv2d((a - b).square(), head).mean((1, 2, 3))
    assert expected.min() > 0.01
    torch.testing.assert_close(loss(first, second), expected.mean(), rtol=2e-3, atol=0)
    found = loss.per_image(first, second)
    assert (found[0] - found[1]).abs() > 1e-3  # not the mean
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=0)


def test_an_images_distance_does_not_depend_on_the_batch(loss: PerceptualLoss) -> None:
    first, second = images(0), torch.stack([images(0)[0], images(1)[1]])
    found = loss.per_image(first, second)
    assert found.shape == (2,)
    assert found[0] == 0
    torch.testing.assert_close(found[1:], loss.per_image(first[1:], second[1:]))


def test_images_that_vgg16_can_not_halve_are_refused(loss: PerceptualLoss) -> None:
    small = torch.zeros(1, 3, 15, 20)
    with pytest.raises(DataError, match="LPIPS needs images of 16 pixels, these have 15 x 20"):
        loss.per_image(small, small)


def test_equal_images_are_at_distance_zero(loss: PerceptualLoss) -> None:
    assert loss(images(0), images(0)).item() == 0


def test_gradients_reach_both_images_and_not_the_network(loss: PerceptualLoss) -> None:
    first, second = images(0).requires_grad_(), images(1).requires_grad_()
    loss(first, second).backward()
    for image in (first, second):
        assert image.grad.isfinite().all()
        assert (image.grad.abs().sum((1, 2, 3)) > 0).all()
    assert not any(p.requires_grad for p in loss.network.parameters())
    assert not loss.network.training


def test_a_module_that_holds_the_loss_does_not_own_its_network(loss: PerceptualLoss) -> None:
    holder = nn.Module()
    holder.perceptual = loss
    assert list(holder.parameters()) == []
    assert holder.state_dict() == {}


def test_a_missing_file_is_named_with_the_knobs(tmp_path: Path) -> None:
    absent = tmp_path / "nowhere.pth"
    with pytest.raises(FileNotFoundError) as caught:
        find_vgg16_weights(str(absent))
    for words in (str(absent), VGG16_FILE, "`perceptual_weights`", "`weights.perceptual` to 0"):
        assert words in str(caught.value)
    with pytest.raises(FileNotFoundError, match="in --perceptual_weights, or leave LPIPS out"):
        PerceptualLoss(str(absent), IN_EVALUATION)


def test_without_a_path_torchvisions_cache_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"VGG16_Weights\.IMAGENET1K_V1"):
        find_vgg16_weights(None)
    cached = tmp_path / "checkpoints" / VGG16_FILE
    cached.parent.mkdir()
    cached.write_bytes(b"")
    assert find_vgg16_weights(None) == cached


@pytest.mark.parametrize("content", [b"", b"not made by torch", None])
def test_a_wrong_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    if content is None:
        torch.save({"weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"wrong\.pth.* not a torchvision VGG16 state dict"):
        load_lpips(path)


def test_weights_lie_where_torch_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    assert cached_weights("net.pth") == tmp_path / "hub" / "checkpoints" / "net.pth"
