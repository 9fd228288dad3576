import math

import pytest
import torch
from torch import Tensor

from renderers.view_sampling import (
    band_directions,
    constellation,
    direction_angles,
    perturbed,
    random_rotations,
    sphere_directions,
)

COUNT = 20_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def smallest_angle(directions: Tensor) -> float:
    """Smallest angle in degrees between two of (V, 3)."""
    cosine = directions @ directions.T
    cosine.fill_diagonal_(-1.0)
    return math.degrees(math.acos(min(1.0, float(cosine.max()))))


@pytest.mark.parametrize(
    ("views", "degrees"), [(2, 180.0), (3, 120.0), (4, 109.47), (6, 60.0), (12, 40.0)]
)
def test_views_of_a_constellation_are_far_apart(views: int, degrees: float) -> None:
    directions = constellation(views)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(views))
    found = smallest_angle(directions)
    assert found >= degrees - 0.01 if views > 4 else found == pytest.approx(degrees, abs=0.05)


def test_rotations_are_proper_and_uniform() -> None:
    matrices = random_rotations(COUNT, generator())
    torch.testing.assert_close(
        matrices @ matrices.mT, torch.eye(3).expand_as(matrices), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(COUNT), atol=1e-4, rtol=0)
    # The angle of a uniform rotation has density (1 - cos) / pi, so its cosine has mean -1/2.
    cosine = (matrices.diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2
    assert cosine.mean().item() == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize("views", [1, 3, 5])
def test_every_view_of_the_sphere_is_uniform(views: int) -> None:
    directions = sphere_directions(COUNT, views, generator())
    for view in directions.unbind(1):
        # A uniform direction has mean 0, covariance I / 3, and uniform coordinates (Archimedes).
        torch.testing.assert_close(view.mean(0), torch.zeros(3), atol=0.015, rtol=0)
        torch.testing.assert_close(view.T @ view / COUNT, torch.eye(3) / 3, atol=0.01, rtol=0)
        levels = torch.tensor([0.1, 0.5, 0.9])
        for axis in view.unbind(-1):
            torch.testing.assert_close(axis.quantile(levels), 2 * levels - 1, atol=0.03, rtol=0)


def test_three_views_of_a_scene_stay_120_degrees_apart() -> None:
    for directions in sphere_directions(50, 3, generator()):
        assert smallest_angle(directions) == pytest.approx(120.0, abs=0.1)


def test_a_band_is_uniform_in_area_and_its_views_are_apart_in_yaw() -> None:
    extent = (-math.pi, math.pi), (math.radians(5), math.radians(35))
    directions = band_directions(COUNT, 3, *extent, generator())
    yaw, pitch = direction_angles(directions)
    assert pitch.min() >= extent[1][0] - 1e-5
    assert pitch.max() <= extent[1][1] + 1e-5
    middle = (math.sin(extent[1][0]) + math.sin(extent[1][1])) / 2
    assert directions[..., 1].mean().item() == pytest.approx(middle, abs=0.003)
    assert yaw.std().item() == pytest.approx(2 * math.pi / math.sqrt(12), abs=0.02)
    between = (yaw[:, 1] - yaw[:, 0]).remainder(2 * math.pi)
    torch.testing.assert_close(between, torch.full_like(between, 2 * math.pi / 3))


def test_a_narrow_band_wraps_within_its_yaws() -> None:
    yaw, _ = direction_angles(band_directions(1000, 2, (-0.5, 0.5), (0.0, 0.0), generator()))
    assert yaw.min() >= -0.5
    assert yaw.max() <= 0.5
    torch.testing.assert_close((yaw[:, 1] - yaw[:, 0]).abs(), torch.full((1000,), 0.5))


def test_perturbation_turns_by_its_spread() -> None:
    ahead = torch.tensor([0.0, 0.0, 1.0]).expand(COUNT, 3)
    yaw, pitch = direction_angles(perturbed(ahead, 0.05, generator()))
    assert yaw.std().item() == pytest.approx(0.05, rel=0.03)
    assert pitch.std().item() == pytest.approx(0.05, rel=0.03)
    assert torch.equal(perturbed(ahead, 0.0, generator()), ahead)


def test_no_views_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one view"):
        constellation(0)
