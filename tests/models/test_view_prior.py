import math
from dataclasses import replace

import pytest
import torch

from models.view_distribution import ViewDistribution
from models.view_prior import ViewCells, ViewPrior
from renderers.view_sampling import direction_angles

BAND = ViewDistribution(yaw_degrees=(-90.0, 90.0), pitch_degrees=(0.0, 30.0))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_an_untrained_prior_is_uniform_on_the_sphere() -> None:
    prior = ViewPrior(2, ViewCells(), ViewDistribution())
    _, directions = prior.draw(torch.zeros(20_000, dtype=torch.long), 1, generator())
    found = directions[:, 0]
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(20_000))
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=0.015, rtol=0)
    torch.testing.assert_close(found.T @ found / 20_000, torch.eye(3) / 3, atol=0.01, rtol=0)


def test_views_lie_in_their_cells_and_cells_follow_the_odds_of_the_class() -> None:
    prior = ViewPrior(2, ViewCells(3, 2), BAND)
    with torch.no_grad():
        prior.odds[1, 4] = 100.0  # upper row, middle column
    labels = torch.tensor([1]).expand(500)
    cells, directions = prior.draw(labels, 2, generator())
    assert (cells == 4).all()
    yaw, pitch = direction_angles(directions)
    assert yaw.abs().max() <= math.radians(30.01)
    assert pitch.sin().min() >= 0.2499
    cells, _ = prior.draw(torch.zeros(6000, dtype=torch.long), 1, generator())
    assert torch.bincount(cells.flatten()).float().div(6000).sub(1 / 6).abs().max() < 0.02


def test_views_are_turned_as_those_of_its_band() -> None:
    turned = replace(BAND, pitch_degrees=(10.0, 10.0), perturbation_degrees=5.0)
    _, directions = ViewPrior(0, ViewCells(), turned).draw(
        torch.zeros(5000, dtype=torch.long), 1, generator()
    )
    _, pitch = direction_angles(directions)
    assert math.degrees(pitch.std()) == pytest.approx(5.0, rel=0.05)
    assert math.degrees(pitch.mean()) == pytest.approx(10.0, abs=0.3)


def test_without_classes_all_share_one_distribution() -> None:
    prior = ViewPrior(0, ViewCells(2, 2), BAND)
    assert prior.log_probabilities(torch.tensor([0, 3])).exp().tolist() == [[0.25] * 4] * 2


def test_no_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="yaws is 0, it must be from 1 to 1,000"):
        ViewCells(yaws=0)
