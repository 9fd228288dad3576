import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.classifier import SmallClassifier
from models.recipe import build_model


def images(side: int, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_the_default_has_half_a_million_parameters_and_four_times_its_width_of_features() -> None:
    with torch.device("meta"):
        model = SmallClassifier(12)
        found = model.features(torch.empty(2, 3, 64, 64)), model(torch.empty(2, 3, 64, 64))
    assert sum(parameter.numel() for parameter in model.parameters()) == 495_276
    assert [tuple(tensor.shape) for tensor in found] == [(2, 128), (2, 12)]


def test_logits_are_the_head_of_the_features() -> None:
    model = SmallClassifier(5, 16, 8).eval()
    features = model.features(images(16))
    assert features.min() >= 0
    assert features.std(0).max() > 1e-3
    torch.testing.assert_close(model(images(16)), model.head(features))


def test_what_it_says_of_an_image_does_not_depend_on_the_others() -> None:
    model = SmallClassifier(5, 16, 8)  # in training mode
    batch = images(16, 8)
    torch.testing.assert_close(model(batch)[2:3], model(batch[2:3]), rtol=1e-4, atol=1e-5)


def test_other_sizes_are_resized_with_antialiasing() -> None:
    model, large = SmallClassifier(5, 16, 8).eval(), images(40)
    small = F.interpolate(large, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(model(large), model(small))


def test_a_recipe_builds_it_again() -> None:
    model = SmallClassifier(5, 32, 16)
    again = build_model(model.recipe())
    assert isinstance(again, SmallClassifier)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(images(32)), model(images(32)))


def test_gradients_reach_every_weight() -> None:
    model = SmallClassifier(3, 16, 8)
    nn.functional.cross_entropy(model(images(16)), torch.tensor([0, 1, 2])).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((1,), "classes is 1, it must be from 2 to 1,000,000"),
        ((2, 8), "resolution is 8, it must be from 16 to 8,192"),
        ((2, 64, 12), "width is 12, it must be a multiple of 8"),
        ((2, 64, 0), "width is 0, it must be from 8 to 16,384"),
    ],
)
def test_what_makes_no_network_is_refused(arguments: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SmallClassifier(*arguments)
