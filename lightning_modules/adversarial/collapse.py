"""Collapse indicator: diversity of the scenes of one class, relative to its peak."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import check_number
from lightning_modules.training.schedules import MOST_IMAGES
from models.stored import as_type


@dataclass(frozen=True)
class CollapseWatch:
    """When to take a generator for collapsing.

    every_images: interval of looking; scenes: how many, always the same latents, spread over the
    classes, at least two of each; low: share of its highest value so far below which diversity must
    fall, above 1 for a collapse at every look; patience: how many looks in a row.

    Raises DataError for a number outside its range.
    """

    every_images: int = 10_000
    scenes: int = 32
    low: float = 0.6
    patience: int = 2

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("every_images", self.every_images, 1, MOST_IMAGES)
        check_number("scenes", self.scenes, 1, 1_000_000)
        check_number("low", self.low, 0, 2)
        check_number("patience", self.patience, 1, 1_000_000)


def diversity(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Root mean square distance () of values (N, F) to the mean of those of their label (N,), from
    0 to `classes` - 1."""
    sums = values.new_zeros(classes, values.shape[1]).index_add_(0, labels, values)
    counts = values.new_zeros(classes).index_add_(0, labels, torch.ones_like(values[:, 0]))
    deviation = values - (sums / counts[:, None])[labels]
    return deviation.square().mean().sqrt()


def relative_diversity(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """`diversity` of features (N, F) of any scale, as a share of their root mean square."""
    return diversity(features, labels, classes) / features.square().mean().sqrt().clamp_min(1e-12)


@dataclass
class CollapseIndicator:
    """Diversities as shares of their highest values so far: all are 1 while they grow, and fall
    when scenes become alike. What it holds is saved with the run.

    peaks: highest value of each; lows: looks in a row at which one was low; looked_at: images seen
    at the last look.
    """

    peaks: dict[str, float] = field(default_factory=dict)
    lows: int = 0
    looked_at: int = 0

    @staticmethod
    def restored(state: Mapping[str, Any]) -> "CollapseIndicator":
        """The one that a run has saved; ValueError if something else is stored in its place."""
        peaks = as_type(tuple(state["peaks"].items()), tuple[tuple[str, float], ...], "peaks")
        lows, looked_at = (as_type(state[name], int, name) for name in ("lows", "looked_at"))
        return CollapseIndicator(dict(peaks), lows, looked_at)

    def due(self, images_seen: int, watch: CollapseWatch) -> bool:
        """Whether to look again."""
        return images_seen - self.looked_at >= watch.every_images

    def update(
        self, values: dict[str, float], images_seen: int, watch: CollapseWatch
    ) -> dict[str, float]:
        """Take in the diversities of a look; returns their shares."""
        self.looked_at = images_seen
        self.peaks = {name: max(value, self.peaks.get(name, 0.0)) for name, value in values.items()}
        shares = {name: value / max(self.peaks[name], 1e-12) for name, value in values.items()}
        self.lows = self.lows + 1 if min(shares.values()) < watch.low else 0
        return shares

    def collapsing(self, watch: CollapseWatch) -> bool:
        """Whether diversity has been low for long enough."""
        return self.lows >= watch.patience
