import json

import pytest
import torch

from models.blocks.field import DensityPrior
from models.blocks.plane_decoder import PlaneSize
from models.recipe import build_model
from models.spaces import BoxSpace, ContractedSpace
from models.view_distribution import ViewDistribution
from models.view_prior import ViewCells
from models.wildgan import BackboneSize, WildGAN, enlargement
from renderers.ray_sampling import RaySampling


def tiny(
    classes: int = 3,
    raw_resolution: int = 8,
    *,
    extra_blocks: bool = False,
    deep_field: bool = False,
    box: BoxSpace = BoxSpace(0.6, 0.5),
    unbounded: ContractedSpace | None = None,
) -> WildGAN:
    """A generator no argument of which is at its default."""
    torch.manual_seed(0)
    return WildGAN(
        classes,
        resolution=16,
        raw_resolution=raw_resolution,
        backbone=BackboneSize(8, 12, 3, 128, 16),
        planes=PlaneSize(4, 16),
        extra_blocks=extra_blocks,
        deep_field=deep_field,
        field_hidden=8,
        prior=DensityPrior(0.5, 1.0),
        box=box,
        unbounded=unbounded,
        views=ViewDistribution(2.0, 40.0, (-90.0, 90.0), (0.0, 30.0), 2.0),
        view_cells=ViewCells(3, 2, 5.0),
        sampling=RaySampling(5, 3, "disparity"),
        refiner_widths=(8, 6),
    )


@pytest.mark.parametrize("box", [BoxSpace(0.6, 0.5), BoxSpace(0.7, None)])
@pytest.mark.parametrize("unbounded", [None, ContractedSpace(0.5)])
@pytest.mark.parametrize("raw_resolution", [16, 8, 4])
def test_a_generator_comes_back_from_its_recipe(
    box: BoxSpace, unbounded: ContractedSpace | None, raw_resolution: int
) -> None:
    model = tiny(
        raw_resolution=raw_resolution,
        extra_blocks=True,
        deep_field=True,
        box=box,
        unbounded=unbounded,
    )
    again = build_model(json.loads(json.dumps(model.recipe())))
    assert isinstance(again, WildGAN)
    assert again.recipe() == model.recipe()
    assert again.space == (unbounded or box)
    again.load_state_dict(model.state_dict())
    labels = torch.tensor([0, 2])
    for one, other in ((model, again),):
        first, second = (made.scenes(made.mapped(labels, [4, 5])) for made in (one, other))
        camera = model.views.canonical().camera()
        assert torch.equal(first.view(camera, 16, 16).rgb, second.view(camera, 16, 16).rgb)


def test_a_scene_depends_on_its_seed_and_class_alone() -> None:
    model = tiny()
    together = model.mapped(torch.tensor([0, 1, 1]), [5, 5, 6])
    torch.testing.assert_close(together[1:2], model.mapped(torch.tensor([1]), [5]))
    assert not torch.allclose(together[0], together[1])
    assert not torch.allclose(together[1], together[2])


def test_truncation_leads_to_the_mean_of_the_class() -> None:
    model = tiny()
    labels = torch.tensor([0, 0, 2])
    ends = [model.mapped(labels, [1, 2, 3], truncation) for truncation in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(ends[0][0], ends[0][1])
    assert not torch.allclose(ends[0][0], ends[0][2])
    torch.testing.assert_close(ends[1], (ends[0] + ends[2]) / 2)


def test_without_classes_labels_do_not_matter() -> None:
    model = tiny(classes=0)
    mapped = model.mapped(torch.tensor([0, 7]), [1, 1])
    torch.testing.assert_close(mapped[0], mapped[1])


def test_a_slice_of_scenes_keeps_its_own_latents_in_the_refiner() -> None:
    model = tiny()
    scenes = model.scenes(model.mapped(torch.tensor([0, 1]), [1, 2]))
    camera = model.views.canonical().camera()
    whole, part = scenes.view(camera, 16, 16), scenes[1:].view(camera, 16, 16)
    torch.testing.assert_close(whole.rgb[1:], part.rgb)


def published(*, extra_blocks: bool = False, deep_field: bool = False) -> WildGAN:
    with torch.device("meta"):
        return WildGAN(100, extra_blocks=extra_blocks, deep_field=deep_field)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_published_backbone_has_29_million_parameters_and_g_doubles_it() -> None:
    plain, extra = published(), published(extra_blocks=True)
    backbone = parameters(plain.mapping) + parameters(plain.synthesis)
    assert backbone == pytest.approx(29.0e6, abs=0.1e6)
    assert parameters(extra) / parameters(plain) == pytest.approx(2.0, abs=0.05)


def test_d_adds_two_layers_of_the_same_width() -> None:
    added = parameters(published(deep_field=True)) - parameters(published())
    assert added == 2 * (64 * 64 + 64)


@pytest.mark.parametrize(("raw", "factor"), [(64, 1), (32, 2), (16, 4)])
def test_images_are_enlarged_by_one_two_or_four(raw: int, factor: int) -> None:
    assert enlargement(64, raw) == factor


@pytest.mark.parametrize("raw", [128, 21, 8])
def test_other_enlargements_are_refused(raw: int) -> None:
    with pytest.raises(ValueError, match=f"renderings of {raw}"):
        enlargement(64, raw)
