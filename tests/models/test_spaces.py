import pytest
import torch

from models.spaces import BoxSpace, ContractedSpace
from renderers.rays import Rays


@pytest.mark.parametrize(("disparity", "scaled"), [(1.0, 1.0), (0.05, 0.0), (0.525, 0.5)])
def test_disparity_is_scaled_between_far_and_near(disparity: float, scaled: float) -> None:
    space = ContractedSpace(near=1.0, far=20.0)
    assert space.scale_disparity(torch.tensor(disparity)).item() == pytest.approx(scaled, abs=1e-6)


def test_what_is_within_inner_fills_the_middle_half_of_the_cube() -> None:
    space = ContractedSpace(inner=0.4)
    points = torch.tensor([[0.4, -0.2, 0.0], [0.8, 0.0, -0.8], [1e6, 0.0, 0.0]])
    expected = torch.tensor([[0.5, -0.25, 0.0], [0.75, 0.0, -0.75], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(space.to_cube(points), expected)


def test_a_box_begins_and_ends_where_rays_cross_it() -> None:
    rays = Rays(torch.tensor([[[0.0, 0.0, 2.0]]]), torch.tensor([[[0.0, 0.0, -1.0]]]))
    bounds = BoxSpace(half=0.5).bounds(rays)
    assert (bounds.near.item(), bounds.far.item()) == (1.5, 2.5)
    ends = torch.stack([rays.at(bounds.near[..., None]), rays.at(bounds.far[..., None])])
    assert BoxSpace(half=0.5).to_cube(ends).flatten().tolist() == [0, 0, 1, 0, 0, -1]


@pytest.mark.parametrize("half", [0.0, -1.0, float("inf")])
def test_a_box_without_extent_is_refused(half: float) -> None:
    with pytest.raises(ValueError, match=r"half is .*: give a number above 0"):
        BoxSpace(half=half)


def test_a_background_that_is_no_grey_is_refused() -> None:
    with pytest.raises(ValueError, match=r"background is 1\.5"):
        BoxSpace(background=1.5)
