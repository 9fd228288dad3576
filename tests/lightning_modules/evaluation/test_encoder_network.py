"""Image encoders of torchvision and transformers measure images, resized and not normalised."""

import re
from pathlib import Path

import pytest
import torch
from tiny_encoder import NETWORK, WIDTH, save_network
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import normalize, resize

from datamodules.errors import DataError
from lightning_modules.evaluation import encoder_network
from lightning_modules.evaluation.distances import frechet_distance
from lightning_modules.evaluation.image_encoders import ImageEncoder
from lightning_modules.evaluation.networks import open_network
from lightning_modules.inference.loading import weights_hash


def images(count: int, side: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, side, side), generator=rng, dtype=torch.uint8)


def resized(pixels: Tensor, side: int) -> Tensor:
    found = resize(pixels / 255, [side, side], InterpolationMode.BICUBIC, antialias=True)
    return found.clamp(0, 1)


def test_torchvisions_features_are_those_before_its_logits(tmp_path: Path) -> None:
    path = save_network(tmp_path / "network.pth")
    network = open_network(f"torchvision:{NETWORK}", path)
    found = network(images(2, 48))
    model = get_model(NETWORK, weights=None).eval()
    model.load_state_dict(torch.load(path))
    seen = normalize(resized(images(2, 48), 224), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(found.vectors, model.features(seen).mean((2, 3)))
    assert found.vectors.shape == (2, WIDTH)
    assert (found.logits.shape, network.has_logits) == ((2, 0), False)
    assert network.name == f"torchvision-{NETWORK}-{network.weights[:8]}"
    assert network.resize == (
        "to 224 px, bicubic with antialiasing; "
        "channels minus 0.485, 0.456, 0.406, over 0.229, 0.224, 0.225"
    )


def test_transformers_features_are_its_own_of_images_of_any_size(vit: Path) -> None:
    from transformers import ViTModel

    network, model = open_network(f"transformers:{vit}"), ViTModel.from_pretrained(vit).eval()
    for side in (80, 20, 32):
        pixels = images(3, side)
        seen = pixels / 255 if side == 32 else resized(pixels, 32)
        expected = model(normalize(seen, [0.5, 0.5, 0.5], [0.5, 0.25, 0.5])).pooler_output
        torch.testing.assert_close(network(pixels).vectors, expected)
        assert (expected.norm(dim=1) - 1).abs().min() > 1e-2  # so that lengths are seen


def test_the_label_tells_weights_apart_and_names_a_file(
    vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import ViTModel

    first = open_network(f"transformers:{vit}")
    assert re.fullmatch(r"transformers-vit-[0-9a-f]{8}", first.name)
    assert first.name.endswith(first.weights[:8])
    assert open_network(f"transformers:{vit}").name == first.name
    spaced = vit.rename(vit.parent / "my vit")
    assert open_network(f"transformers:{spaced}").name == first.name.replace("vit", "my-vit")
    model = ViTModel.from_pretrained(spaced)
    nn.init.ones_(model.layernorm.bias)
    model.save_pretrained(spaced)
    assert open_network(f"transformers:{spaced}").weights != first.weights
    digest = weights_hash(model)
    cached = ImageEncoder("transformers:facebook/dinov2-base", digest, 32, 16, model, (), ())
    monkeypatch.setattr(encoder_network, "open_encoder", lambda *_, **__: cached)
    found = open_network("transformers:facebook/dinov2-base").name
    assert found == f"transformers-dinov2-base-{digest[:8]}"


def test_the_distance_of_equal_sets_is_zero(vit: Path) -> None:
    network = open_network(f"transformers:{vit}")
    real = network(images(60, 16)).vectors
    dark = network(images(60, 16) // 2).vectors
    assert frechet_distance(real, dark) > 1e-3
    assert abs(frechet_distance(real, real)) < 1e-4 * frechet_distance(real, dark)


def test_what_can_not_be_opened_is_told_with_the_options_of_features(
    vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import ViTImageProcessor

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"resnet50 needs weights .*--features_weights \("):
        open_network("torchvision:resnet50")
    with pytest.raises(FileNotFoundError, match=r"no file x\.pth: check --features_weights \("):
        open_network("torchvision:resnet50", "x.pth")
    with pytest.raises(DataError, match="no model 'resnet': name one in --features "):
        open_network("torchvision:resnet")
    with pytest.raises(DataError, match=r"can't open .*none .* in --features \("):
        open_network(f"transformers:{tmp_path / 'none'}")
    with pytest.raises(DataError, match=r"--features_weights is x\.pth, but only inception and"):
        open_network(f"transformers:{vit}", "x.pth")
    ViTImageProcessor(size={"height": 40, "width": 40}).save_pretrained(vit)
    with pytest.raises(DataError, match=r"vit takes no images of 40 .*another network in --feat"):
        open_network(f"transformers:{vit}")
