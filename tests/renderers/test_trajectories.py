import math
from collections.abc import Callable

import pytest
import torch

from renderers.cameras import orbit_camera
from renderers.trajectories import Angles, front_arc, orbit, spiral, wiggle

PATHS = [orbit, front_arc, wiggle, spiral]
Path = Callable[[int], Angles]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("views", [1, 12])
def test_every_path_has_the_views_asked_for(path: Path, views: int) -> None:
    yaw, pitch = path(views)
    assert yaw.shape == pitch.shape == (views,)


@pytest.mark.parametrize("path", [orbit, wiggle])
def test_closed_paths_continue_evenly_past_the_last_view(path: Path) -> None:
    position = orbit_camera(*path(24), 2.0, 30.0).position
    steps = (position - position.roll(1, 0)).norm(dim=-1)
    assert steps[0] == pytest.approx(steps[1:].mean().item(), rel=0.5)
    assert steps.min() > 0


def test_the_orbit_goes_all_around_and_the_arc_stays_in_front() -> None:
    yaw, pitch = orbit(8)
    torch.testing.assert_close(yaw, torch.arange(8) * math.pi / 4)
    assert not pitch.any()
    torch.testing.assert_close(front_arc(3, extent=0.3)[0], torch.tensor([-0.3, 0.0, 0.3]))


def test_the_spiral_rises_evenly() -> None:
    _, pitch = spiral(11, pitch_extent=1.0)
    torch.testing.assert_close(pitch, torch.linspace(-1.0, 1.0, 11))


@pytest.mark.parametrize("path", PATHS)
def test_no_views_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="at least one view"):
        path(0)
