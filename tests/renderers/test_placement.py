import math

import pytest
import torch

from renderers.placement import (
    Placement,
    box_corners,
    boxes_meet,
    points_in_world,
    rays_in_frame,
)
from renderers.rays import Rays

SIDEWAYS = Placement((1.0, 2.0, 3.0), heading=math.pi / 2, stretch=(2.0, 1.0, 0.5))
UNIT = (0.5, 0.5, 0.5)


def test_a_point_along_a_ray_is_the_same_in_both_frames() -> None:
    rng = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(2, 5, 3, generator=rng), dim=-1)
    rays = Rays(torch.randn(2, 5, 3, generator=rng), directions)
    own, factor = rays_in_frame(rays, SIDEWAYS)
    torch.testing.assert_close(own.directions.norm(dim=-1), torch.ones(2, 5))
    distance = torch.rand(2, 5, 1, generator=rng)
    in_world = points_in_world(own.at(distance).flatten(0, 2), SIDEWAYS).view(2, 5, 3)
    expected = rays.at(distance * factor[..., None])[:, :, 0]
    torch.testing.assert_close(in_world, expected, atol=1e-5, rtol=1e-5)


def test_heading_turns_the_front_to_the_left_as_seen_from_above() -> None:
    front = points_in_world(torch.tensor([[1.0, 0.0, 0.0]]), SIDEWAYS)
    torch.testing.assert_close(front, torch.tensor([[1.0, 2.0, 1.0]]))  # twice as long, along -z


@pytest.mark.parametrize(
    ("placement", "meet"),
    [
        (Placement((0.9, 0.0, 0.0)), True),
        (Placement((1.1, 0.0, 0.0)), False),
        (Placement((1.1, 0.0, 0.0), stretch=(1.5, 1.0, 1.0)), True),
        (Placement((1.1, 0.0, 0.0), heading=math.pi / 4), True),
        (Placement((1.3, 0.0, 0.0), heading=math.pi / 4), False),
        (Placement((0.0, 1.1, 0.0), heading=math.pi / 4), False),
        (Placement((0.9, 0.0, 0.9)), True),
        (Placement((1.1, 0.0, 1.1), heading=math.pi / 4), False),
    ],
)
def test_boxes_meet_or_do_not(placement: Placement, meet: bool) -> None:
    assert boxes_meet(Placement(), UNIT, placement, UNIT) == meet
    assert boxes_meet(placement, UNIT, Placement(), UNIT) == meet


def test_the_matrix_moves_points_as_the_placement_does() -> None:
    points = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    homogeneous = torch.cat([points, torch.ones(9, 1)], 1) @ SIDEWAYS.matrix().T
    torch.testing.assert_close(homogeneous[:, :3], points_in_world(points, SIDEWAYS))
    torch.testing.assert_close(homogeneous[:, 3], torch.ones(9))


def test_corners_are_those_of_the_turned_box() -> None:
    corners = box_corners(SIDEWAYS, UNIT)  # 2 long, which is along z there, and 0.5 wide
    assert corners.shape == (8, 3)
    torch.testing.assert_close(corners.amax(0), torch.tensor([1.25, 2.5, 4.0]))
    torch.testing.assert_close(corners.amin(0), torch.tensor([0.75, 1.5, 2.0]))
