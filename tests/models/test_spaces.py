import math

import pytest
import torch

from models.spaces import BoxSpace, ContractedSpace, SceneBoxes
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
    with pytest.raises(ValueError, match=r"half is .*, it must be from 0.0001 to 1,000,000"):
        BoxSpace(half=half)


def test_a_background_that_is_no_grey_is_refused() -> None:
    with pytest.raises(ValueError, match=r"background is 1\.5"):
        BoxSpace(background=1.5)


SIZES = torch.tensor([[0.5, 0.5, 0.5], [0.25, 0.5, 1.0]])


def test_each_scenes_rays_enter_and_leave_its_own_box() -> None:
    down_z = torch.tensor([0.0, 0.0, -1.0]).expand(2, 1, 3)
    rays = Rays(torch.tensor([[[0.0, 0.0, 2.0]], [[0.2, -0.4, 2.0]]]), down_z)
    boxes = SceneBoxes(SIZES)
    bounds = boxes.bounds(rays)
    assert (bounds.near.tolist(), bounds.far.tolist()) == ([[1.5], [1.0]], [[2.5], [3.0]])
    entered = boxes.to_cube(rays.at(bounds.near[..., None]).flatten(1, 2))
    torch.testing.assert_close(entered, torch.tensor([[[0.0, 0.0, 1.0]], [[0.8, -0.8, 1.0]]]))


def test_shared_spaces_are_their_own_slices_and_boxes_are_sliced() -> None:
    for shared in (BoxSpace(0.6), ContractedSpace()):
        assert shared.select(slice(1, None)) is shared
    part = SceneBoxes(SIZES, background=0.5).select(slice(1, None))
    assert part.half_extents.tolist() == [[0.25, 0.5, 1.0]]
    assert part.background == 0.5


def test_a_box_is_known_of_what_lies_in_one() -> None:
    assert ContractedSpace().box() is None
    assert BoxSpace(0.6).box() == (0.6, 0.6, 0.6)
    assert SceneBoxes(SIZES[1:]).box() == (0.25, 0.5, 1.0)


def test_boxes_take_the_sizes_that_are_known() -> None:
    length_width_height = torch.tensor([[4.0, 2.0, 1.5], [math.nan] * 3])
    assert SceneBoxes(SIZES).sized(length_width_height).half_extents.tolist() == [
        [2.0, 0.75, 1.0],  # objects face +x, +y is up
        [0.25, 0.5, 1.0],
    ]


def test_objects_keep_their_size_within_a_reach() -> None:
    corner = SIZES[:, None]
    boxes = SceneBoxes(SIZES, reach=2.0)
    assert boxes.to_cube(corner).tolist() == [[[0.25, 0.25, 0.25]], [[0.125, 0.25, 0.5]]]
    assert boxes.select(slice(1, None)).reach == 2.0
    with pytest.raises(ValueError, match="reach is 0"):
        SceneBoxes(SIZES, reach=0.0)


def test_boxes_of_another_form_or_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"half_extents are \(3,\): give \(B, 3\)"):
        SceneBoxes(torch.ones(3))
    with pytest.raises(ValueError, match=r"background is 1\.5"):
        SceneBoxes(SIZES, background=1.5)
    rays = Rays(torch.zeros(2, 4, 3), torch.ones(2, 4, 3))
    with pytest.raises(ValueError, match=r"holds 1 boxes for 2 scenes"):
        SceneBoxes(SIZES[:1]).bounds(rays)
    with pytest.raises(ValueError, match=r"holds 2 boxes for 1 scenes"):
        SceneBoxes(SIZES).to_cube(torch.zeros(1, 4, 3))
