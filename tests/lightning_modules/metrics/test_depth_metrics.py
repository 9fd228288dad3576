import pytest
import torch

from lightning_modules.metrics.depth import (
    aligned_disparity,
    depth_accuracy,
    normalised_depth_error,
)
from lightning_modules.metrics.image import masked_correlation

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


def test_normalised_error_by_hand() -> None:
    # Maps 0, 2 and 1, 1, 4 of known pixels: -1, 1 against 1, -1; and with mean 2, variance 2.
    predicted = torch.tensor([[0.0, 2.0, 9.0], [1.0, 1.0, 4.0]])
    given = torch.tensor([[7.0, 3.0, torch.nan], [4.0, 1.0, 1.0]])
    known = torch.tensor([[True, True, False], [True, True, True]])
    expected = torch.tensor([4.0, (9 / 2 + 9 / 2) / 3])
    torch.testing.assert_close(normalised_depth_error(predicted, given, known), expected)


def test_normalised_error_is_that_of_the_correlation() -> None:
    rng = torch.Generator().manual_seed(0)
    predicted, noise = torch.randn(2, 5, 40, generator=rng)
    known = torch.rand(5, 40, generator=rng) < 0.6
    given = 100 + torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])[:, None] * predicted + noise
    correlation = masked_correlation(predicted, given, known)
    assert correlation.max() - correlation.min() > 1
    found = normalised_depth_error(predicted, given, known)
    torch.testing.assert_close(found, 2 - 2 * correlation, rtol=1e-5, atol=1e-6)


def test_normalised_error_does_not_see_factor_and_offset() -> None:
    for factor, error in ((3.0, 0.0), (1e-3, 0.0), (-2.0, 4.0)):
        found = normalised_depth_error(factor * GIVEN + 5, GIVEN, ALL)
        assert found.item() == pytest.approx(error, abs=1e-5)


def test_normalised_error_of_a_constant_is_nan() -> None:
    flat, none = torch.full((1, 4), 0.1), torch.zeros(1, 4, dtype=torch.bool)
    one = torch.tensor([[True, False, False, False]])
    for predicted, given, known in (
        (flat, GIVEN, ALL),
        (GIVEN, flat, ALL),
        (GIVEN, GIVEN, none),
        (GIVEN, GIVEN, one),
    ):
        assert normalised_depth_error(predicted, given, known).isnan().all()
