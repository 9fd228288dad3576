"""Results of several checkpoints side by side, with their spread over repeats."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightning_modules.evaluation.metrics import better

CONFIDENCE = 0.95
"""With which two figures are told apart."""

BOLD = " Bold: the best, and what does not differ from it beyond the noise (Welch's t-test, 95 %)."


@dataclass(frozen=True)
class Figure:
    """A figure of every repeat.

    >>> Figure((1.0, 2.0, 3.0))
    2.0 +- 1.0
    """

    repeats: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the repeats."""
        return float(np.mean(self.repeats))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the repeats, None of a single one."""
        return float(np.std(self.repeats, ddof=1)) if len(self.repeats) > 1 else None

    def __repr__(self) -> str:
        """Mean and deviation, as precise as the deviation makes sense of."""
        if self.deviation is None:
            return f"{self.mean:.4g}"
        if not self.deviation > 0:
            return f"{self.mean:.4g} +- {self.deviation:.2g}"
        decimals = max(0, 1 - math.floor(math.log10(self.deviation)))
        return f"{_fixed(self.mean, decimals)} +- {_fixed(self.deviation, decimals)}"

    def as_json(self) -> dict[str, Any]:
        """Plain values; null for what is not a number."""
        values = [value if math.isfinite(value) else None for value in self.repeats]
        mean, deviation = (_plain(value) for value in (self.mean, self.deviation))
        return {"mean": mean, "deviation": deviation, "repeats": values}


def differ(first: Figure, second: Figure) -> bool | None:
    """Whether two figures differ beyond the noise of their repeats, by Welch's t-test; None if
    there is no telling, for one has a single repeat.

    >>> differ(Figure((1.0, 1.1, 0.9)), Figure((2.0, 2.1, 1.9)))
    True
    >>> differ(Figure((1.0, 2.0, 0.0)), Figure((1.1, 2.2, 0.2)))
    False
    """
    from scipy.stats import ttest_ind

    if min(len(first.repeats), len(second.repeats)) < 2:
        return None
    if first.deviation == second.deviation == 0:
        return first.mean != second.mean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nearly equal values, rounding errors
        p = float(ttest_ind(first.repeats, second.repeats, equal_var=False).pvalue)
    return p < 1 - CONFIDENCE


def best(label: str, figures: Sequence[Figure | None]) -> list[bool]:
    """Which of the figures of a label are the best, or can't be told from it; none of a figure
    without a direction, of a single checkpoint, or without repeats.

    >>> best("fid/x", [Figure((4.0, 4.2)), Figure((4.1, 4.3)), Figure((9.0, 9.1))])
    [True, True, False]
    """
    direction = better(label)
    present = [f for f in figures if f is not None and math.isfinite(f.mean)]
    if direction is None or len(present) < 2:
        return [False] * len(figures)
    first = (max if direction == "higher" else min)(present, key=lambda figure: figure.mean)
    if any(differ(first, figure) is None for figure in present):
        return [False] * len(figures)
    return [f in present and (f is first or not differ(first, f)) for f in figures]


def markdown_table(results: dict[str, dict[str, Figure]]) -> str:
    """Figures by label of each result, by its name: a row a figure, a column a result."""
    labels = list(dict.fromkeys(label for figures in results.values() for label in figures))
    arrow = {"higher": " (higher)", "lower": " (lower)", None: ""}
    lines = [["", *results], ["---"] * (1 + len(results))]
    for label in labels:
        figures = [found.get(label) for found in results.values()]
        marked = zip(figures, best(label, figures), strict=True)
        cells = ["" if f is None else f"**{f}**" if bold else str(f) for f, bold in marked]
        lines.append([f"{label}{arrow[better(label)]}", *cells])
    table = "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)
    repeats = max((len(f.repeats) for of in results.values() for f in of.values()), default=1)
    if repeats == 1:
        return f"{table}\n"
    bold = BOLD if len(results) > 1 else ""
    return f"{table}\n\nMean and deviation over {repeats} repeats.{bold}\n"


def _fixed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if decimals < 6 else f"{value:.2e}"


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
