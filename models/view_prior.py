"""A learned distribution of the views of each class: how often photographs show it from where."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.limits import FACTORS
from models.view_distribution import ViewDistribution
from renderers.ranges import check_number
from renderers.view_sampling import perturbed


@dataclass(frozen=True)
class ViewCells:
    """How the band of a `ViewDistribution` is divided into cells of equal area.

    yaws, heights: their numbers around and upwards; lr_multiplier: how much faster than other
    parameters the odds of cells are learned.

    Raises ValueError for a number outside its range.
    """

    yaws: int = 8
    heights: int = 4
    lr_multiplier: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("yaws", self.yaws, 1, 1000)
        check_number("heights", self.heights, 1, 1000)
        check_number("lr_multiplier", self.lr_multiplier, *FACTORS)


class ViewPrior(nn.Module):
    """Odds of cells for every class, even at first; within a cell views are uniform in area.

    arXiv 2402.00225 names a learned distribution instead of the uniform sphere as future work.
    Cells are discrete and rendering is not differentiated with respect to the camera, so it learns
    by the score function (REINFORCE), see `losses.view_prior`.

    Args:
        classes: number of classes, 0 for none, which share one distribution.
        cells: how finely views are told apart.
        views: the band, radius and field of view.
    """

    def __init__(self, classes: int, cells: ViewCells, views: ViewDistribution) -> None:
        super().__init__()
        self.cells, self.views = cells, views
        self.odds = nn.Parameter(torch.zeros(max(1, classes), cells.yaws * cells.heights))

    def log_probabilities(self, labels: Tensor) -> Tensor:
        """Of the cells (B, K), for labels (B,)."""
        rows = self.odds[labels] if len(self.odds) > 1 else self.odds.expand(len(labels), -1)
        return torch.log_softmax(self.cells.lr_multiplier * rows.float(), dim=1)

    def draw(self, labels: Tensor, views: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw V independent views of each label: cells (B, V) int64, directions (B, V, 3).

        Several views are as far apart as the odds have it, not by construction.
        """
        probabilities = self.log_probabilities(labels).detach().exp()[:, None]  # (B, 1, K)
        # The first of exponential clocks to ring: `torch.multinomial` would ask the device whether
        # these are probabilities.
        clocks = probabilities.expand(-1, views, -1).clone().exponential_(generator=rng)
        cell = (probabilities / clocks).argmax(-1)
        place = torch.rand(*cell.shape, 2, generator=rng, device=rng.device)
        yaw = (cell % self.cells.yaws + place[..., 0]) / self.cells.yaws
        height = (cell // self.cells.yaws + place[..., 1]) / self.cells.heights
        spread = math.radians(self.views.perturbation_degrees)
        return cell, perturbed(self._direction(yaw, height), spread, rng)

    def _direction(self, yaw: Tensor, height: Tensor) -> Tensor:
        """Shares (...) of the band's width and height, in area, as directions (..., 3)."""
        left, right = (math.radians(limit) for limit in self.views.yaw_degrees)
        low, high = (math.sin(math.radians(limit)) for limit in self.views.pitch_degrees)
        angle, y = left + yaw * (right - left), low + height * (high - low)
        ring = (1 - y.square()).clamp_min(0).sqrt()
        return torch.stack([ring * angle.sin(), y, ring * angle.cos()], -1)
