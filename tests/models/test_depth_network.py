import pytest
import torch

from models.depth_network import SmallDepthNetwork
from models.recipe import build_model


def test_disparity_has_the_size_of_the_images() -> None:
    network = SmallDepthNetwork(64, 8)
    for height, width in ((64, 64), (37, 51), (130, 70), (1, 3)):
        assert network(torch.rand(2, 3, height, width)).shape == (2, height, width)


def test_it_is_built_again_from_its_recipe() -> None:
    network = SmallDepthNetwork(96, 16)
    again = build_model(network.recipe())
    again.load_state_dict(network.state_dict())
    images = torch.rand(1, 3, 50, 60)
    assert torch.equal(again(images), network(images))


def test_every_parameter_learns() -> None:
    network = SmallDepthNetwork(64, 8)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((32, 8), "resolution is 32, it must be from 64"), ((64, 12), "must be a multiple of 8")],
)
def test_sizes_outside_their_range_are_refused(arguments: tuple[int, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SmallDepthNetwork(*arguments)
