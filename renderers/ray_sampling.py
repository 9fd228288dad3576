"""Positions along rays at which the field is evaluated.

Samplers work on positions in [0, 1]; `positions_to_distance` maps them between near and far,
linearly in distance or in disparity. Randomness comes from the given torch.Generator; without one,
bins are sampled at their midpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from renderers.bounds import Bounds
from renderers.ranges import check_number

Spacing = Literal["distance", "disparity"]


@dataclass(frozen=True)
class RaySampling:
    """Samples of a ray: coarse (stratified, 1 to 8,192), then fine (importance, 0 to 8,192), and
    their spacing."""

    coarse: int = 48
    fine: int = 48
    spacing: Spacing = "distance"

    def __post_init__(self) -> None:
        """Raise ValueError for counts or spacings that cannot be rendered."""
        check_number("coarse", self.coarse, 1, 8192)
        check_number("fine", self.fine, 0, 8192)
        if self.spacing not in ("distance", "disparity"):
            raise ValueError(f"spacing is {self.spacing!r}, it must be 'distance' or 'disparity'.")

    @property
    def total(self) -> int:
        """Samples of a ray."""
        return self.coarse + self.fine


def positions_to_distance(positions: Tensor, bounds: Bounds, spacing: Spacing) -> Tensor:
    """Map positions (B, R, S) in [0, 1] to distances between near and far.

    'distance': near + s (far - near). 'disparity': 1 / ((1 - s) / near + s / far), which spends
    samples on what is near; the companion of the contraction (mip-NeRF 360, section 5).

    >>> bounds = Bounds(torch.tensor([[1.0]]), torch.tensor([[4.0]]), torch.tensor([[True]]))
    >>> positions = torch.tensor([[[0.0, 0.5, 1.0]]])
    >>> positions_to_distance(positions, bounds, "distance")
    tensor([[[1.0000, 2.5000, 4.0000]]])
    >>> positions_to_distance(positions, bounds, "disparity")
    tensor([[[1.0000, 1.6000, 4.0000]]])
    """
    near, far = bounds.near.unsqueeze(-1), bounds.far.unsqueeze(-1)
    if spacing == "distance":
        return near + positions * (far - near)
    return 1.0 / torch.lerp(1.0 / near, 1.0 / far, positions)


def stratified_positions(
    batch: int,
    rays: int,
    count: int,
    device: torch.device,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Return one position in each of `count` bins of [0, 1], ascending (batch, rays, count).

    >>> stratified_positions(1, 1, 4, torch.device("cpu")).tolist()
    [[[0.125, 0.375, 0.625, 0.875]]]
    """
    bins = torch.arange(count, dtype=torch.float32, device=device)
    if rng is None:
        return ((bins + 0.5) / count).expand(batch, rays, count)
    noise = torch.rand(batch, rays, count, generator=rng, device=rng.device)
    return noise.to(device).add_(bins).div_(count)


def position_edges(positions: Tensor) -> Tensor:
    """Return the borders (B, R, S + 1) of the intervals that ascending positions (B, R, S) in [0,
    1] stand for.

    Borders lie halfway between neighbours; the first is 0, the last 1.
    """
    inner = torch.lerp(positions[..., 1:], positions[..., :-1], 0.5)
    ends = torch.zeros_like(positions[..., :1])
    return torch.cat([ends, inner, ends + 1.0], dim=-1)


def smooth_weights(weights: Tensor, padding: float = 0.01) -> Tensor:
    """Blur weights (B, R, S) as mip-NeRF does (arXiv 2103.13415, section 3.1): max of neighbours,
    then their mean.

    `padding` is added to every weight, so that intervals thought empty are still visited now and
    then.
    """
    padded = torch.cat([weights[..., :1], weights, weights[..., -1:]], dim=-1)
    peak = torch.maximum(padded[..., 1:], padded[..., :-1])
    return torch.lerp(peak[..., 1:], peak[..., :-1], 0.5) + padding


@torch.no_grad()
def invert_histogram(edges: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    """Return the positions (B, R, F) at which the cumulated histogram reaches `levels` (B, R, F) in
    [0, 1).

    edges: (B, R, S + 1) ascending; weights: (B, R, S) >= 0. Stratified levels make stratified
    samples of the histogram, ascending as they are. All-zero weights count as equal. No gradient
    flows.

    >>> edges, weights = torch.tensor([[[0.0, 0.5, 1.0]]]), torch.tensor([[[3.0, 1.0]]])
    >>> invert_histogram(edges, weights, torch.tensor([[[0.25, 0.5, 0.875]]]))
    tensor([[[0.1667, 0.3333, 0.7500]]])
    """
    cdf = (weights + 1e-12).cumsum(dim=-1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf / cdf[..., -1:]], dim=-1)
    upper = torch.searchsorted(cdf, levels.contiguous(), right=True).clamp_(1, weights.shape[-1])
    lower = upper - 1
    start, stop = cdf.gather(-1, lower), cdf.gather(-1, upper)
    fraction = ((levels - start) / (stop - start).clamp_min(1e-12)).clamp_(0.0, 1.0)
    return torch.lerp(edges.gather(-1, lower), edges.gather(-1, upper), fraction)


@torch.no_grad()
def merge_ranks(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices int64 of two ascending lists (B, R, S1), (B, R, S2) in their merged
    ascending list.

    Ties put `first` first, so the ranks are a permutation of 0 .. S1 + S2 - 1.

    >>> merge_ranks(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[2.0, 3.0, 4.0]]]))
    (tensor([[[0, 2]]]), tensor([[[1, 3, 4]]]))
    """
    own_first = torch.arange(first.shape[-1], device=first.device)
    own_second = torch.arange(second.shape[-1], device=second.device)
    first, second = first.contiguous(), second.contiguous()
    return (
        torch.searchsorted(second, first, right=False) + own_first,
        torch.searchsorted(first, second, right=True) + own_second,
    )


def merge_by_rank(first: Tensor, second: Tensor, ranks: tuple[Tensor, Tensor]) -> Tensor:
    """Interleave values (B, R, S1), (B, R, S2) by `merge_ranks` into (B, R, S1 + S2)."""
    values = torch.cat([first, second], dim=-1)
    return torch.empty_like(values).scatter(-1, torch.cat(ranks, dim=-1), values)
