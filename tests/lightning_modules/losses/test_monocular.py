"""Losses of relative disparity know neither factor nor offset, but which side is near."""

import pytest
import torch

from lightning_modules.losses.monocular import disparity_loss, edge_loss, normalized_disparity

GENERATOR = torch.Generator().manual_seed(0)
GIVEN = torch.rand(3, 16, 16, generator=GENERATOR)
KNOWN = torch.rand(3, 16, 16, generator=GENERATOR) > 0.2


def losses(found: torch.Tensor, given: torch.Tensor = GIVEN) -> tuple[float, float]:
    seen, truth = (normalized_disparity(x, KNOWN) for x in (found, given))
    return disparity_loss(seen, truth, KNOWN).item(), edge_loss(seen, truth, KNOWN).item()


def test_factor_and_offset_cost_nothing() -> None:
    assert losses(3 * GIVEN - 7) == pytest.approx((0, 0), abs=1e-5)


def test_inverted_depth_is_wrong() -> None:
    values, edges = losses(1 - GIVEN)
    assert values == pytest.approx(2, abs=0.1)  # twice the mean distance from the median
    assert edges > losses(torch.zeros_like(GIVEN))[1]


def test_a_constant_costs_the_mean_distance() -> None:
    assert losses(torch.full_like(GIVEN, 5.0))[0] == pytest.approx(1, abs=1e-5)


def test_unknown_pixels_do_not_count() -> None:
    spoiled = torch.where(KNOWN, GIVEN, 1e6)
    assert losses(GIVEN, spoiled) == pytest.approx((0, 0), abs=1e-5)
    found = GIVEN.clone().requires_grad_()
    sum(
        loss(normalized_disparity(found, KNOWN), normalized_disparity(1 - GIVEN, KNOWN), KNOWN)
        for loss in (disparity_loss, edge_loss)
    ).backward()
    assert found.grad.isfinite().all()
    assert (found.grad[~KNOWN] == 0).all()


def test_images_of_which_nothing_is_known_cost_nothing() -> None:
    nothing = torch.zeros_like(KNOWN)
    found = GIVEN.clone().requires_grad_()
    seen = normalized_disparity(found, nothing)
    loss = disparity_loss(seen, seen, nothing) + edge_loss(seen, seen, nothing)
    loss.backward()
    assert loss.item() == 0
    assert found.grad.isfinite().all()


def test_a_blurred_edge_costs_more_than_its_values() -> None:
    """Of two maps with one mean difference that with steep errors has the larger loss of edges."""
    stripes = torch.zeros(1, 16, 16)
    stripes[:, :, ::2] = 0.2
    known = torch.ones(1, 16, 16, dtype=torch.bool)
    smooth = torch.full((1, 16, 16), 0.1)
    zero = torch.zeros(1, 16, 16)
    assert disparity_loss(stripes, zero, known) == pytest.approx(0.1)
    assert disparity_loss(smooth, zero, known) == pytest.approx(0.1)
    assert edge_loss(stripes, zero, known) > 0.1
    assert edge_loss(smooth, zero, known) == 0
