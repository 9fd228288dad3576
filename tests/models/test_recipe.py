import json
from pathlib import Path

import pytest
import torch
import yaml

import models
from models.autoencoder import CanonicalView
from models.blocks.field import DensityPrior
from models.blocks.plane_decoder import PlaneSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.recipe import build_model
from models.spaces import ContractedSpace
from models.vq3d import VQ3D
from renderers.ray_sampling import RaySampling


def unusual_model() -> VQ3D:
    """A tiny model, no argument of which is at its default."""
    torch.manual_seed(0)
    return VQ3D(
        resolution=16,
        patch=4,
        encoder=ViTSize(16, 1, 2, mlp_ratio=2.0),
        decoder=ViTSize(24, 2, 4, mlp_ratio=3.0),
        codebook=CodebookSize(12, 6, commitment=0.5, dead_share=0.1, memory=2.0),
        planes=PlaneSize(4, 8),
        field_hidden=10,
        prior=DensityPrior(-2.0, 5.0),
        view=CanonicalView(2.0, 50.0),
        space=ContractedSpace(0.5, 7.0),
        sampling=RaySampling(5, 3, "distance"),
    )


def test_a_model_comes_back_from_its_recipe_and_weights() -> None:
    model = unusual_model()
    again = build_model(json.loads(json.dumps(model.recipe())))
    assert isinstance(again, VQ3D)
    again.load_state_dict(model.state_dict())
    images = torch.rand(2, 3, 16, 16)
    made, made_again = model(images), again(images)
    assert torch.equal(made.quantized.tokens, made_again.quantized.tokens)
    assert torch.equal(made.quantized.loss, made_again.quantized.loss)
    view = made.scenes.view(made.scenes.canonical, 8, 8)
    view_again = made_again.scenes.view(made_again.scenes.canonical, 8, 8)
    assert torch.equal(view.rgb, view_again.rgb)
    assert torch.equal(view.disparity, view_again.disparity)
    assert again.quantizer.size == model.quantizer.size
    assert again.recipe() == model.recipe()


def test_a_recipe_is_plain_enough_for_checkpoints_and_yaml(tmp_path: Path) -> None:
    recipe = unusual_model().recipe()
    torch.save(recipe, tmp_path / "recipe.pt")
    assert torch.load(tmp_path / "recipe.pt", weights_only=True) == recipe
    assert yaml.safe_load(yaml.safe_dump(recipe)) == recipe


@pytest.mark.parametrize(
    "class_path",
    [
        "torch.nn.Identity",
        "os.system",
        "modelsearch.Net",
        "models.vq3d.nn.Identity",
        "models.vq3d.Tensor",
        "models.nothing.VQ3D",
        "models.vq3d.Nothing",
        "VQ3D",
    ],
)
def test_classes_that_are_not_ours_are_refused(class_path: str) -> None:
    with pytest.raises(ValueError, match=f"names the model class '{class_path}'"):
        build_model({"class_path": class_path, "init_args": {}})


def test_a_module_of_our_name_in_another_place_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strange.py").write_text(
        "from torch import nn\n\n\nclass Model(nn.Module):\n    pass\n"
    )
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=r"names the model class 'models\.strange\.Model'"):
        build_model({"class_path": "models.strange.Model", "init_args": {}})


@pytest.mark.parametrize(
    ("argument", "value", "sentence"),
    [
        ("resolution", 10**6, r"VQ3D\.resolution is 1000000, it must be from 1 to 8,192\."),
        ("resolution", 15, r"VQ3D\.resolution is 15, it must be a multiple of"),
        ("decoder", {"heads": 0}, r"VQ3D\.decoder: heads is 0, it must be from 1 to 16,384\."),
    ],
)
def test_an_argument_out_of_range_is_told_by_its_class(
    argument: str, value: object, sentence: str
) -> None:
    recipe = unusual_model().recipe()
    recipe["init_args"][argument] = value
    with pytest.raises(ValueError, match=f"^{sentence}"):
        build_model(recipe)
