"""Small image models of transformers, where it is installed, are saved and opened by folder."""

from pathlib import Path

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.evaluation.image_encoders import open_encoder
from lightning_modules.evaluation.transformers_trunk import transformers_trunk

transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")
SMALL = {
    **{"hidden_size": 16, "intermediate_size": 24},
    **{"num_hidden_layers": 2, "num_attention_heads": 2},
}


def test_the_pooled_output_is_taken(vit: Path) -> None:
    trunk = transformers_trunk(str(vit))
    assert (trunk.name, trunk.side) == ("transformers:vit", 32)
    assert (trunk.mean, trunk.std) == ((0.5, 0.5, 0.5), (0.5, 0.25, 0.5))
    images, model = torch.randn(2, 3, 32, 32), transformers.ViTModel.from_pretrained(vit).eval()
    torch.testing.assert_close(trunk.network(images), model(images).pooler_output)


def test_a_pooling_without_weights_gives_way_to_the_mean_of_tokens(vit: Path) -> None:
    model = transformers.ViTModel.from_pretrained(vit, add_pooling_layer=False).eval()
    model.save_pretrained(vit)
    images = torch.randn(2, 3, 32, 32)
    expected = model(images).last_hidden_state.mean(1)
    torch.testing.assert_close(transformers_trunk(str(vit)).network(images), expected)


def test_a_pooling_without_weights_does_not_change_their_hash(vit: Path) -> None:
    transformers.ViTModel.from_pretrained(vit, add_pooling_layer=False).save_pretrained(vit)
    one, other = (open_encoder(f"transformers:{vit}") for _ in range(2))
    assert one.weights == other.weights


def test_tokens_are_pooled_as_asked_and_the_name_tells(vit: Path) -> None:
    images, model = torch.randn(2, 3, 32, 32), transformers.ViTModel.from_pretrained(vit).eval()
    tokens = model(images).last_hidden_state
    for pool, expected in (("cls", tokens[:, 0]), ("mean", tokens.mean(1))):
        trunk = transformers_trunk(str(vit), pool)
        assert trunk.name == f"transformers:vit, {pool}"
        torch.testing.assert_close(trunk.network(images), expected)


def test_weights_that_lack_a_part_are_refused(vit: Path) -> None:
    weights = safetensors.load_file(vit / "model.safetensors")
    lost = next(name for name in weights if "attention" in name)
    safetensors.save_file(
        {k: v for k, v in weights.items() if k != lost}, vit / "model.safetensors"
    )
    with pytest.raises(DataError, match=r"The weights of .*vit lack 1 of its model's, first"):
        transformers_trunk(str(vit))


def test_the_vision_part_of_a_model_of_two_is_taken(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config=SMALL | {"vocab_size": 99},
        vision_config=SMALL | {"image_size": 32, "patch_size": 8},
    )
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    size = {"height": 32, "width": 32}
    transformers.CLIPImageProcessor(size={"shortest_edge": 36}, crop_size=size).save_pretrained(
        tmp_path
    )
    trunk, images = transformers_trunk(str(tmp_path)), torch.randn(2, 3, 32, 32)
    assert trunk.side == 32
    expected = model.vision_model(images).pooler_output
    torch.testing.assert_close(trunk.network(images), expected)


def test_convolutional_models_give_a_vector_too(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    )
    transformers.ResNetModel(config).save_pretrained(tmp_path)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 40}).save_pretrained(tmp_path)
    trunk = transformers_trunk(str(tmp_path))
    assert trunk.side == 40
    images = torch.randn(2, 3, 40, 40)
    assert trunk.network(images).shape == (2, 16)
    mean = transformers_trunk(str(tmp_path), "mean").network(images)
    torch.testing.assert_close(mean, trunk.network(images))
    with pytest.raises(DataError, match="--pool is cls, but this convolutional model has no tok"):
        open_encoder(f"transformers:{tmp_path}", pool="cls")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"transformers can't open .*none .*nothing is downloa"):
        transformers_trunk(str(tmp_path / "none"))
