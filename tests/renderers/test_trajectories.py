import math

import pytest
import torch

from renderers.cameras import project
from renderers.trajectories import front_arc, orbit, spiral, wiggle

PATHS = [orbit, front_arc, wiggle, spiral]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("views", [1, 12])
def test_every_view_looks_at_the_target_from_the_given_distance(path, views):
    target = (0.2, -0.1, 0.3)
    camera = path(views, 1.8, 30.0, target=target)
    assert camera.cam2world.shape == (views, 4, 4)
    pixels, z = project(torch.tensor(target).expand(views, 1, 3), camera)
    torch.testing.assert_close(pixels, torch.full_like(pixels, 0.5), atol=1e-5, rtol=0)
    torch.testing.assert_close(z, torch.full_like(z, 1.8))


@pytest.mark.parametrize("path", [orbit, wiggle])
def test_closed_paths_continue_evenly_past_the_last_view(path):
    position = path(24, 2.0, 30.0).position
    steps = (position - position.roll(1, 0)).norm(dim=-1)
    assert steps[0] == pytest.approx(steps[1:].mean().item(), rel=0.5)
    assert steps.min() > 0


def test_the_orbit_goes_all_around_and_the_arc_stays_in_front():
    yaw = torch.atan2(orbit(8, 1.0, 30.0).position[:, 0], orbit(8, 1.0, 30.0).position[:, 2])
    assert yaw.abs().max() == pytest.approx(math.pi, abs=1e-5)
    arc = front_arc(5, 1.0, 30.0, extent=0.3).position
    torch.testing.assert_close(arc[:, 0].asin()[[0, 2, 4]], torch.tensor([-0.3, 0.0, 0.3]))


def test_the_spiral_rises():
    height = spiral(10, 1.0, 30.0, pitch_extent=1.0).position[:, 1]
    assert (height.diff() > 0).all()
    assert height[-1].item() == pytest.approx(math.sin(1.0), abs=1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_no_views_are_refused(path):
    with pytest.raises(ValueError, match="at least one view"):
        path(0, 1.0, 30.0)
