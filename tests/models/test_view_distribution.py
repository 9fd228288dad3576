import math

import pytest
import torch

from models.view_distribution import ViewDistribution
from renderers.view_sampling import direction_angles


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_by_default_the_whole_sphere_is_seen_evenly() -> None:
    views = ViewDistribution()
    directions = views.directions(10_000, 1, generator())[:, 0]
    torch.testing.assert_close(directions.mean(0), torch.zeros(3), atol=0.02, rtol=0)
    # Seven eighths of the height leave a sixteenth of the sphere at either pole.
    assert (directions[:, 1] > 7 / 8).float().mean().item() == pytest.approx(1 / 16, abs=0.01)


def test_views_of_one_scene_are_far_apart_on_sphere_and_band() -> None:
    sphere = ViewDistribution().directions(100, 3, generator())
    band = ViewDistribution(pitch_degrees=(0.0, 30.0)).directions(100, 3, generator())
    for directions, most in ((sphere, -0.499), (band, 0.0)):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert (directions[:, i] * directions[:, j]).sum(-1).max() < most


def test_a_band_keeps_its_limits_unless_perturbed() -> None:
    views = ViewDistribution(yaw_degrees=(-30.0, 30.0), pitch_degrees=(10.0, 20.0))
    yaw, pitch = direction_angles(views.directions(1000, 1, generator()))
    assert yaw.abs().max() <= math.radians(30.001)
    assert math.radians(9.99) <= pitch.min()
    assert pitch.max() <= math.radians(20.01)
    moved = ViewDistribution(
        yaw_degrees=(-30.0, 30.0), pitch_degrees=(10.0, 20.0), perturbation_degrees=5.0
    )
    _, pitch = direction_angles(moved.directions(1000, 1, generator()))
    assert pitch.max() > math.radians(22.0)


def test_cameras_look_at_the_origin_from_the_radius() -> None:
    views = ViewDistribution(radius=2.0)
    camera = views.cameras(views.directions(4, 2, generator()))
    assert camera.cam2world.shape == (4, 2, 4, 4)
    torch.testing.assert_close(camera.position, -2.0 * camera.forward, atol=1e-5, rtol=0)


def test_the_canonical_view_is_the_middle_and_views_around_it_are_even() -> None:
    views = ViewDistribution(yaw_degrees=(-90.0, 90.0), pitch_degrees=(0.0, 40.0))
    yaw, pitch = direction_angles(views.canonical().camera().position / views.radius)
    assert (yaw.item(), pitch.item()) == pytest.approx((0.0, math.radians(20.0)), abs=1e-5)
    yaw, pitch = direction_angles(views.around(3).position / views.radius)
    torch.testing.assert_close(yaw, torch.tensor([-60.0, 0.0, 60.0]).deg2rad())
    torch.testing.assert_close(pitch, torch.full((3,), math.radians(20.0)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"yaw_degrees": (10.0, -10.0)}, "yaw_degrees is"),
        ({"pitch_degrees": (-100.0, 0.0)}, "pitch_degrees is"),
        ({"radius": 0.0}, "radius is 0.0"),
        ({"fov_degrees": 180.0}, "fov_degrees is 180.0"),
        ({"perturbation_degrees": -1.0}, "perturbation_degrees is -1.0"),
    ],
)
def test_impossible_views_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ViewDistribution(**settings)  # type: ignore[arg-type]
