import math

import pytest
import torch
from torch import Tensor

from models.blocks.field import COLOR_MARGIN, DensityPrior, TriplaneField


def random_planes(scale: float) -> Tensor:
    return scale * torch.randn(2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0))


def random_points() -> Tensor:
    return 2 * torch.rand(2, 50, 3, generator=torch.Generator().manual_seed(1)) - 1


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_density_and_colour_stay_in_range(scale: float) -> None:
    torch.manual_seed(0)
    density, color = TriplaneField(8, 16)(random_planes(scale), random_points())
    assert density.shape == (2, 50)
    assert color.shape == (2, 50, 3)
    assert (density >= 0).all()
    assert density.isfinite().all()
    assert color.min() >= -COLOR_MARGIN - 1e-6
    assert color.max() <= 1 + COLOR_MARGIN + 1e-6


def test_extreme_colours_reach_past_black_and_white() -> None:
    field = TriplaneField(8, 16)
    with torch.no_grad():
        field.out.weight.zero_()
        field.out.bias.copy_(torch.tensor([0.0, 50.0, -50.0, 0.0]))
    _, color = field(random_planes(1), random_points())
    torch.testing.assert_close(color[0, 0], torch.tensor([1.001, -0.001, 0.5]))


def test_density_is_softplus_of_the_output_and_of_a_bias_that_rises_away_from_the_camera() -> None:
    # raw 2, bias -1, slope 4: ln(1 + e^(1 - 4 z)), z the third coordinate of the cube.
    field = TriplaneField(8, 16, DensityPrior(bias=-1.0, slope=4.0))
    with torch.no_grad():
        field.out.weight.zero_()
        field.out.bias.fill_(2.0)
    points = torch.tensor([[[0.3, 0.1, 0.0], [0.0, 0.9, -0.5], [0.0, 0.0, 0.25]]]).expand(2, 3, 3)
    density, _ = field(random_planes(1), points)
    expected = [math.log1p(math.exp(power)) for power in (1.0, 3.0, 0.0)]
    torch.testing.assert_close(density, torch.tensor([expected, expected]))


def test_gradients_reach_planes_and_weights() -> None:
    torch.manual_seed(0)
    field, planes = TriplaneField(8, 16), random_planes(1).requires_grad_()
    density, color = field(planes, random_points())
    (density.sum() + color.sum()).backward()
    assert (planes.grad.abs().sum((2, 3, 4)) > 0).all()  # all planes of all scenes
    for name, parameter in field.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_scenes_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    field, planes, points = TriplaneField(8, 16), random_planes(1), random_points()
    density, color = field(planes, points)
    alone_density, alone_color = field(planes[1:], points[1:])
    torch.testing.assert_close(density[1:], alone_density)
    torch.testing.assert_close(color[1:], alone_color)


def test_density_is_float32_for_bfloat16_planes() -> None:
    torch.manual_seed(0)
    field, planes, points = TriplaneField(8, 16), random_planes(1), random_points()
    with torch.autocast("cpu", torch.bfloat16):
        density, color = field(planes.bfloat16(), points)
    assert density.dtype == torch.float32
    exact_density, exact_color = field(planes, points)
    torch.testing.assert_close(density, exact_density, atol=0.03, rtol=0.03)
    torch.testing.assert_close(color.float(), exact_color, atol=0.03, rtol=0.03)


def test_a_deeper_field_of_more_features_starts_as_varied_as_a_shallow_one() -> None:
    # Planes of unit variance. With nn.Linear's own weights two middle layers leave a twelfth.
    rng = torch.Generator().manual_seed(0)
    planes = torch.randn(2, 3, 32, 16, 16, generator=rng)
    points = 2 * torch.rand(2, 2000, 3, generator=rng) - 1

    def variation(layers: int) -> list[Tensor]:
        torch.manual_seed(0)
        logits, features = [], []
        for _ in range(5):
            field = TriplaneField(32, 64, DensityPrior(0.0), middle_layers=layers, features=32)
            density, values = field(planes, points)
            assert values.shape == (2, 2000, 32)
            logits.append(density.expm1().log().std(1).mean())
            features.append(values.std(1).mean())
        return [torch.stack(x).mean().detach() for x in (logits, features)]

    shallow = variation(0)
    for layers in (1, 2):
        for ours, expected in zip(variation(layers), shallow, strict=True):
            assert 0.75 < ours / expected < 1.35


def test_gradients_reach_the_middle_layers() -> None:
    torch.manual_seed(0)
    field = TriplaneField(8, 16, middle_layers=2)
    density, color = field(random_planes(1), random_points())
    (density.sum() + color.square().sum()).backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_a_field_without_middle_layers_keeps_the_names_of_old_checkpoints() -> None:
    assert [*TriplaneField(8, 16).state_dict()] == [
        "hidden.weight",
        "hidden.bias",
        "out.weight",
        "out.bias",
    ]


def test_wrong_layer_and_feature_counts_are_errors() -> None:
    with pytest.raises(ValueError, match="middle_layers must be at least 0, got -1"):
        TriplaneField(8, middle_layers=-1)
    with pytest.raises(ValueError, match="features must be at least 3, the colour, got 2"):
        TriplaneField(8, features=2)
