"""Regularisation of the density of scenes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import check_number
from lightning_modules.training.schedules import MOST_WEIGHT
from models.scenes import PlaneField


@dataclass(frozen=True)
class DensitySmoothness:
    """Weight and sampling of the density smoothness; EG3D's values.

    weight: of the loss, 0 for none; interval: steps between two times, each counts that often;
    points: a scene; distance: between neighbours, as standard deviation in units of the cube.

    Raises DataError for a number outside its range.
    """

    weight: float = 0.25
    interval: int = 4
    points: int = 1000
    distance: float = 0.004

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("weight", self.weight, 0, MOST_WEIGHT)
        check_number("interval", self.interval, 1, 1_000_000)
        check_number("points", self.points, 1, 10_000_000)
        check_number("distance", self.distance, 0.0001, 2)

    def due(self, step: int) -> bool:
        """Whether it is computed at an optimiser step."""
        return self.weight > 0 and step % self.interval == 0


def density_smoothness(
    planes: Tensor, field: PlaneField, settings: DensitySmoothness, rng: torch.Generator
) -> Tensor:
    """Mean absolute difference () of the densities at random points of the cube and at points
    close to them (EG3D, arXiv 2112.07945, supplement).

    planes: (B, 3, C, H, W).

    >>> def ramp(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    ...     return points[..., 0], points
    >>> planes, rng = torch.zeros(2, 3, 1, 4, 4), torch.Generator().manual_seed(0)
    >>> loss = density_smoothness(planes, ramp, DensitySmoothness(points=100000), rng)
    >>> round(loss.item(), 4)  # the mean step along x, 0.004 sqrt(2 / pi)
    0.0032
    """
    shape = (len(planes), settings.points, 3)
    points = 2 * torch.rand(shape, generator=rng, device=rng.device) - 1
    step = torch.randn(shape, generator=rng, device=rng.device)
    both = torch.cat([points, points + settings.distance * step], 1)
    density, _ = field(planes, both)
    here, there = density.chunk(2, 1)
    return (here - there).abs().mean()
