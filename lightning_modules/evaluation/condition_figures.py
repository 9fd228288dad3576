"""Figures of how well what was asked of samples agrees with what is measured of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import TIMES_OF_DAY
from lightning_modules.evaluation.sample_measures import best_threshold, told_apart
from models.spaces import box_sides

LEAST_OF_CLASS = 3
"""Samples of a class for a rank correlation within it."""

DAY, NIGHT = TIMES_OF_DAY.index("day"), TIMES_OF_DAY.index("night")

Figures = dict[str, float]


@dataclass(frozen=True)
class Asked:
    """What N samples are to be, or N photographs are.

    label: (N,), -1 unknown; size: (N, 3) length, width and height, NaN unknown; time: (N,) index of
    the time of day, -1 unknown.
    """

    label: Tensor
    size: Tensor
    time: Tensor

    def at(self, rows: Tensor | slice) -> Asked:
        """Those of some rows."""
        return Asked(self.label[rows], self.size[rows], self.time[rows])


@dataclass(frozen=True)
class Found:
    """What is measured of N images: extent (N, 3) of the object along x, y and z, NaN where nothing
    is seen or none is measured; luminance (N,) of the object, NaN where none is seen; guess: (N,)
    label that the classifier gives."""

    extent: Tensor
    luminance: Tensor
    guess: Tensor

    def at(self, rows: Tensor) -> Found:
        """Those of some rows."""
        return Found(self.extent[rows], self.luminance[rows], self.guess[rows])

    @staticmethod
    def cat(parts: Sequence[Found]) -> Found:
        """Those of several batches."""
        rows = [(part.extent, part.luminance, part.guess) for part in parts]
        return Found(*(torch.cat(column) for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Brightness:
    """How real objects differ by time of day: ranks (3,) of the times by their mean luminance, and
    the luminance that best tells night from day."""

    ranks: Tensor
    threshold: float

    @staticmethod
    def of(time: Tensor, luminance: Tensor) -> Brightness:
        """That of real objects (N,).

        Raises:
            DataError: none is of some time of day.
        """
        by_time = _by_time(time, luminance)
        for name, values in zip(TIMES_OF_DAY, by_time, strict=True):
            if not len(values):
                raise DataError(f"No photograph is of {name}: name another data set in --root.")
        means = torch.stack([values.mean() for values in by_time])
        threshold = best_threshold(by_time[NIGHT], by_time[DAY])
        return Brightness(means.argsort().argsort(), threshold)


def size_figures(asked: Asked, found: Found) -> Figures:
    """Rank correlations of asked sides with extents."""
    sides = box_sides(asked.size)
    within = [
        rank_correlation(sides[rows, axis], found.extent[rows, axis])
        for label in asked.label.unique()
        if (rows := asked.label == label).sum() >= LEAST_OF_CLASS
        for axis in range(3)
    ]
    figures = {
        f"{name}: rank correlation": rank_correlation(sides[:, axis], found.extent[:, axis])
        for axis, name in enumerate(("length", "height", "width"))
    }
    pooled = rank_correlation(sides.flatten(), found.extent.flatten())
    figures["sides pooled: rank correlation"] = pooled
    mean = float(torch.tensor(within).nanmean())
    return figures | {"sides within a class: mean rank correlation": mean}


def time_figures(asked: Asked, found: Found, real: Brightness) -> Figures:
    """Luminance of objects by time of day, and whether its order is that of real ones."""
    by_time = _by_time(asked.time, found.luminance)
    figures: Figures = {}
    for name, values in zip(TIMES_OF_DAY, by_time, strict=True):
        figures[f"{name}: mean luminance"] = float(values.mean())
        spread = float(values.std()) if len(values) > 1 else math.nan
        figures[f"{name}: deviation of luminance"] = spread
    known = asked.time >= 0
    ranks = real.ranks[asked.time[known]].to(found.luminance)
    figures["luminance: rank correlation"] = rank_correlation(ranks, found.luminance[known])
    told = told_apart(by_time[NIGHT], by_time[DAY], real.threshold)
    return figures | {"day told from night": told}


def class_figures(asked: Asked, found: Found, names: Sequence[str]) -> Figures:
    """Share of each class that the classifier calls so, and their mean."""
    right = (asked.label == found.guess).double()
    shares = [float(right[asked.label == label].mean()) for label in range(len(names))]
    figures = {f"{name}: called so": share for name, share in zip(names, shares, strict=True)}
    return {"mean of classes: called so": float(torch.tensor(shares).nanmean())} | figures


def _by_time(time: Tensor, luminance: Tensor) -> list[Tensor]:
    """Luminances (N,) that are known, of each time of day."""
    known = ~luminance.isnan()
    return [luminance[known & (time == index)] for index in range(len(TIMES_OF_DAY))]


def ranks(values: Tensor) -> Tensor:
    """Ranks (N,) float64 of values (N,) from 0, equal ones sharing the mean of theirs.

    >>> ranks(torch.tensor([3.0, 1.0, 3.0, 9.0])).tolist()
    [1.5, 0.0, 1.5, 3.0]
    """
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0)
    return (last - (counts + 1) / 2).double()[place]


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation of values (N,) in [-1, 1], pairs with a NaN left out; NaN where
    one side is constant.

    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, 9.0]))
    1.0
    """
    known = ~(first.isnan() | second.isnan())
    ranked = [ranks(values[known]) for values in (first, second)]
    a, b = (values - values.mean() for values in ranked)
    spread = (a.square().sum() * b.square().sum()).sqrt()
    return round(float((a * b).sum() / spread), 12)
