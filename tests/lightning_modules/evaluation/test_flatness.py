import math

import pytest
import torch

from lightning_modules.evaluation.flatness import non_flatness, view_flatness
from models.scenes import Scenes, View
from models.spaces import BoxSpace
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling


def test_one_depth_scores_one_wherever_it_lies() -> None:
    depth = torch.tensor([0.5, 1.0, 2.7, 4.0, 9.0])[:, None, None].expand(5, 8, 8)
    torch.testing.assert_close(non_flatness(depth, 1.0, 4.0), torch.ones(5).double())


def test_depths_spread_over_all_bins_score_their_number() -> None:
    centres = 1 + 3 * (torch.arange(64) + 0.5) / 64
    scores = non_flatness(centres.reshape(1, 8, 8), 1.0, 4.0)
    torch.testing.assert_close(scores, torch.tensor([64.0]).double())
    few = non_flatness(centres.reshape(1, 8, 8), 1.0, 4.0, bins=16)
    torch.testing.assert_close(few, torch.tensor([16.0]).double())


def test_two_depths_score_the_exponential_of_their_entropy() -> None:
    depth = torch.full((2, 4, 4), 1.5)
    depth[0, :2], depth[1, :1] = 3.5, 3.5
    quarter = math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    expected = torch.tensor([2.0, quarter]).double()
    torch.testing.assert_close(non_flatness(depth, 1.0, 4.0), expected)


def test_each_image_may_have_its_own_range() -> None:
    ramp = ((torch.arange(64) + 0.5) / 64).reshape(1, 8, 8)
    near, far = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 2.0, 3.0])
    scores = non_flatness(ramp.expand(3, 8, 8), near, far)
    torch.testing.assert_close(scores, torch.tensor([64.0, 32.0, 1.0]).double())


def test_pixels_count_by_their_weight() -> None:
    depth = torch.full((3, 4, 4), 1.5)
    depth[:, :2] = 3.5
    known = torch.ones(3, 4, 4, dtype=torch.bool)
    known[1, :2] = False
    known[2] = False
    scores = non_flatness(depth, 1.0, 4.0, known)
    torch.testing.assert_close(scores[:2], torch.tensor([2.0, 1.0]).double())
    assert scores[2].isnan()
    opacity = torch.where(depth == 3.5, 0.25, 0.75)
    quarter = math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert float(non_flatness(depth, 1.0, 4.0, opacity)[0]) == pytest.approx(quarter)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"range is 4\.0 to 4\.0"):
        non_flatness(torch.ones(1, 2, 2), 4.0, 4.0)


def wall(planes: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Solid behind the plane z = 0."""
    return 1e4 * (points[..., 2] < 0).float(), torch.zeros_like(points)


def test_disparity_is_counted_between_the_ends_of_each_images_rays() -> None:
    yaw = torch.tensor([0.0, math.pi / 4])
    camera = orbit_camera(yaw, torch.zeros(2), 3.0, 1.0)  # nearly parallel rays
    space = BoxSpace(0.5, None)
    scenes = Scenes(torch.zeros(2, 3, 1, 2, 2), wall, space, RaySampling(8, 0), camera)
    low, high = scenes.view(camera, 4, 4).disparity_range.unbind(1)
    half = torch.tensor([0.5, 0.5 * math.sqrt(2)])  # of the box along the rays
    torch.testing.assert_close(low, 1 / (3 + half), rtol=0.01, atol=0)
    torch.testing.assert_close(high, 1 / (3 - half), rtol=0.01, atol=0)
    alone = scenes[:1].view(camera[:1], 4, 4).disparity_range
    torch.testing.assert_close(alone[:, 0], low[:1])


def test_pixels_count_by_their_opacity() -> None:
    half = 1 / torch.where(torch.arange(4) < 2, 2.6, 3.4).expand(1, 4, 4)
    opacity = torch.where(torch.arange(4) < 2, 1.0, 0.0).expand(1, 4, 4)
    rgb, ends = torch.zeros(1, 3, 4, 4), torch.tensor([[1 / 3.5, 1 / 2.5]])
    for known, bins in ((torch.ones(1, 4, 4), 2), (opacity, 1)):
        found = view_flatness(View(rgb, half, known, ends))
        assert found.tolist() == pytest.approx([bins])
    nothing = View(rgb, half, torch.zeros(1, 4, 4), ends)
    assert view_flatness(nothing).isnan().all()
