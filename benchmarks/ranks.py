"""Rank correlation."""

from __future__ import annotations

from torch import Tensor


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
