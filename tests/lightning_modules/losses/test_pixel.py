import math

import pytest
import torch

from lightning_modules.losses.pixel import l2_loss, logit_laplace_loss


def value(predicted: float, target: float, **settings: float) -> float:
    return logit_laplace_loss(torch.tensor(predicted), torch.tensor(target), **settings).item()


def test_l2_is_the_mean_over_all_elements() -> None:
    # (0.5^2 + 0 + 1^2 + 0) / 4
    predicted = torch.tensor([[0.5, 0.2], [1.0, 0.3]])
    target = torch.tensor([[0.0, 0.2], [0.0, 0.3]])
    assert l2_loss(predicted, target).item() == pytest.approx(0.3125)
    assert l2_loss(predicted.bfloat16(), target.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [
        # x = m = 0.5: only the normaliser, log(0.25) + log(2 * 1).
        (0.5, 0.5, math.log(0.25) + math.log(2)),
        # x = 0.9, m = 0.5: logit 0.9 = ln 9, over 1.
        (0.5, 1.0, math.log(9) + math.log(0.09) + math.log(2)),
        # x = 0.1, m = 0.9: the distance is twice as long.
        (1.0, 0.0, 2 * math.log(9) + math.log(0.09) + math.log(2)),
    ],
)
def test_logit_laplace_by_hand(predicted: float, target: float, expected: float) -> None:
    assert value(predicted, target) == pytest.approx(expected, rel=1e-5)


def test_logit_laplace_averages_over_elements() -> None:
    both = logit_laplace_loss(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 1.0])).item()
    assert both == pytest.approx((value(0.5, 0.5) + value(0.5, 1.0)) / 2, rel=1e-5)


@pytest.mark.parametrize(("mean", "scale", "margin"), [(0.5, 0.5, 0.1), (0.9, 0.3, 0.2)])
def test_logit_laplace_is_a_density_over_squeezed_colours(
    mean: float, scale: float, margin: float
) -> None:
    # Midpoint rule over x in (0, 1); the colour that is squeezed to x is (x - margin) / (1 - 2 m).
    x = (torch.arange(4000) + 0.5) / 4000
    targets = ((x - margin) / (1 - 2 * margin)).tolist()
    mass = sum(math.exp(-value(mean, t, scale=scale, margin=margin)) for t in targets) / 4000
    assert mass == pytest.approx(1, abs=2e-3)


def test_colours_past_the_range_count_as_its_ends() -> None:
    assert value(1.001, 0.5) == value(1.0, 0.5)
    assert value(-0.3, 0.5) == value(0.0, 0.5)


def test_logit_laplace_pulls_towards_the_target() -> None:
    predicted = torch.tensor([0.2, 0.8], requires_grad=True)
    logit_laplace_loss(predicted, torch.tensor([0.6, 0.6])).backward()
    assert predicted.grad[0] < 0 < predicted.grad[1]
