import pytest
import torch

from lightning_modules.metrics.depth import aligned_disparity, depth_accuracy

GIVEN = torch.tensor([[0.1, 0.2, 0.4, 0.8]])
ALL = torch.ones(1, 4, dtype=torch.bool)


def test_any_factor_and_offset_is_found() -> None:
    known = torch.tensor([[True, True, True, False]])
    found = aligned_disparity(-2 * GIVEN + 5, GIVEN, known)
    assert found == pytest.approx(GIVEN, abs=1e-6)


def test_a_constant_becomes_the_mean() -> None:
    found = aligned_disparity(torch.full((1, 4), 3.0), GIVEN, ALL)
    assert found == pytest.approx(torch.full((1, 4), 0.375), abs=1e-6)


def test_the_share_within_a_ratio_is_counted() -> None:
    ratios = torch.tensor([[1.0, 1.24, 1 / 1.24, 1.26]])
    assert depth_accuracy(GIVEN * ratios, GIVEN, ALL).item() == 0.75
    known = torch.tensor([[True, False, False, True]])
    assert depth_accuracy(GIVEN * ratios, GIVEN, known).item() == 0.5
    assert depth_accuracy(GIVEN, GIVEN, torch.zeros(1, 4, dtype=torch.bool)).isnan()


def test_what_is_behind_infinity_is_wrong() -> None:
    assert depth_accuracy(-GIVEN, GIVEN, ALL).item() == 0
