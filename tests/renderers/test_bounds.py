import pytest
import torch

from renderers.bounds import box_bounds, constant_bounds
from renderers.rays import Rays


def _rays(origins, directions):
    return Rays(torch.tensor([origins], dtype=torch.float32), torch.tensor([directions]).float())


def test_an_axis_ray_enters_and_leaves_the_box():
    bounds = box_bounds(_rays([[0, 0, 3]], [[0, 0, -1]]), 0.5)
    assert bounds.near.item() == pytest.approx(2.5)
    assert bounds.far.item() == pytest.approx(3.5)
    assert bounds.hit.all()


def test_an_origin_inside_starts_at_min_near():
    bounds = box_bounds(_rays([[0.1, 0, 0]], [[1, 0, 0]]), 0.5, min_near=0.05)
    assert bounds.near.item() == pytest.approx(0.05)
    assert bounds.far.item() == pytest.approx(0.4)


def test_missed_rays_have_an_empty_interval():
    origins, directions = [[0, 2, 3], [0, 0, 3], [0.5, 2, 0]], [[0, 0, -1], [0, 0, 1], [1, 0, 0]]
    bounds = box_bounds(_rays(origins, directions), 0.5)
    assert not bounds.hit.any()
    assert torch.equal(bounds.near, bounds.far)
    assert (bounds.near > 0).all()


def test_box_sides_may_differ_by_axis_and_by_batch_element():
    rays = _rays([[3, 0, 0], [0, 3, 0]], [[-1, 0, 0], [0, -1, 0]])
    near = box_bounds(rays, (1.0, 0.5, 2.0)).near
    torch.testing.assert_close(near, torch.tensor([[2.0, 2.5]]))
    both = Rays(rays.origins.expand(2, -1, -1), rays.directions.expand(2, -1, -1))
    near = box_bounds(both, torch.tensor([[1.0, 0.5, 2.0], [0.5, 1.0, 1.0]])).near
    torch.testing.assert_close(near, torch.tensor([[2.0, 2.5], [2.5, 2.0]]))


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_constant_bounds_refuse_impossible_intervals(near, far):
    with pytest.raises(ValueError, match="0 < near < far"):
        constant_bounds(_rays([[0, 0, 0]], [[0, 0, 1]]), near, far)


def test_the_range_of_disparities_is_that_of_the_rays_that_hit():
    # Boxes of half extent 0.5 seen along z from 3 and from 1.5 away; the second ray misses both.
    origins = torch.tensor([[[0.0, 0.0, 3.0], [0.0, 9.0, 3.0]], [[0.0, 0.0, 1.5], [0.0, 9.0, 1.0]]])
    bounds = box_bounds(Rays(origins, torch.tensor([0.0, 0.0, -1.0]).expand(2, 2, 3)), 0.5)
    expected = torch.tensor([[1 / 3.5, 1 / 2.5], [1 / 2.0, 1 / 1.0]])
    torch.testing.assert_close(bounds.disparity_range(), expected)
