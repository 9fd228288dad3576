import pytest
import torch
from torch import Tensor

from lightning_modules.losses.density import DensitySmoothness, density_smoothness


def ramp(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Density that rises by planes[b] along x."""
    return planes[:, 0, 0, 0, :1] * points[..., 0] + 5, points


def test_a_ramp_has_the_mean_step_of_a_gaussian() -> None:
    planes = torch.tensor([3.0, 1.0])[:, None, None, None, None]
    settings = DensitySmoothness(points=40_000, distance=0.01)
    found = density_smoothness(planes, ramp, settings, torch.Generator().manual_seed(0))
    # Mean |N(0, s)| is s sqrt(2 / pi); the slopes' mean is 2.
    assert found.item() == pytest.approx(2 * 0.01 * 0.79788, rel=0.01)


def test_an_even_density_costs_nothing() -> None:
    planes = torch.zeros(2, 1, 1, 1, 1)
    assert density_smoothness(planes, ramp, DensitySmoothness(), torch.Generator()) == 0


@pytest.mark.parametrize(
    ("weight", "step", "due"), [(0.25, 0, True), (0.25, 3, False), (0.25, 8, True), (0.0, 0, False)]
)
def test_it_is_due_every_few_steps(weight: float, step: int, due: bool) -> None:
    assert DensitySmoothness(weight, interval=4).due(step) is due
