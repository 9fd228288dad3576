"""Near and far ends of rays: the interval of each that is integrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from renderers.rays import Rays


@dataclass(frozen=True)
class Bounds:
    """Integration interval of every ray: near, far (B, R) float32 with 0 < near <= far, and hit (B,
    R) bool.

    A ray that misses the scene has hit False and near == far, an interval of length zero: it stays
    fully transparent whatever the density is.
    """

    near: Tensor
    far: Tensor
    hit: Tensor

    def slice(self, start: int, stop: int) -> Bounds:
        """Return the bounds of the rays start..stop of every batch element."""
        return Bounds(self.near[:, start:stop], self.far[:, start:stop], self.hit[:, start:stop])

    def disparity_range(self) -> Tensor:
        """Return 1 / far of the farthest end and 1 / near of the nearest one, (B, 2).

        Rays that miss the scene do not count; where all do, the range is (inf, 0).

        >>> near, far = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2.0, 4.0, 3.0]])
        >>> Bounds(near, far, hit=far > near).disparity_range().tolist()
        [[0.25, 1.0]]
        """
        low = 1.0 / self.far.masked_fill(~self.hit, 0.0).amax(dim=1)
        high = 1.0 / self.near.masked_fill(~self.hit, float("inf")).amin(dim=1)
        return torch.stack([low, high], dim=1)


def constant_bounds(rays: Rays, near: float, far: float) -> Bounds:
    """Give every ray the same interval. Raises ValueError unless 0 < near < far < infinity.

    >>> rays = Rays(torch.zeros(1, 2, 3), torch.tensor([0.0, 0.0, -1.0]).expand(1, 2, 3))
    >>> constant_bounds(rays, 1.0, 20.0).far.tolist()
    [[20.0, 20.0]]
    """
    if not 0.0 < near < far < float("inf"):
        raise ValueError(f"bounds need 0 < near < far < infinity, got near {near} and far {far}")
    shape = rays.directions.shape[:-1]
    like = rays.directions
    return Bounds(
        torch.full(shape, near, device=like.device),
        torch.full(shape, far, device=like.device),
        torch.ones(shape, dtype=torch.bool, device=like.device),
    )


def box_bounds(
    rays: Rays, half_extent: float | Sequence[float] | Tensor = 1.0, min_near: float = 1e-2
) -> Bounds:
    """Intersect rays with the axis-aligned box [-half_extent, half_extent]^3 by the slab test.

    half_extent: one number, three, or (B, 3). An origin inside the box starts at `min_near`, which
    also keeps disparities finite. A missed ray gets near == far at its closest approach to the box
    centre.

    >>> origins = torch.tensor([[[0.0, 0.0, 2.0], [0.0, 0.7, 2.0]]])
    >>> bounds = box_bounds(Rays(origins, torch.tensor([0.0, 0.0, -1.0]).expand(1, 2, 3)), 0.5)
    >>> bounds.near.tolist(), bounds.far.tolist(), bounds.hit.tolist()
    ([[1.5, 2.0]], [[2.5, 2.0]], [[True, False]])
    """
    extent = half_extent
    if not isinstance(extent, int | float):  # a number needs no copy to the device
        extent = torch.as_tensor(extent, dtype=torch.float32, device=rays.origins.device)
        extent = extent.unsqueeze(1) if extent.ndim == 2 else extent
    direction = rays.directions
    tiny = torch.full_like(direction, 1e-9)
    # A component of exactly zero would give 0/0 on the slab's face; 1e-9 gives an interval beyond
    # any scene.
    inverse = 1.0 / torch.where(
        direction.abs() < 1e-9, torch.where(direction < 0, -tiny, tiny), direction
    )
    first, second = (-extent - rays.origins) * inverse, (extent - rays.origins) * inverse
    near = torch.minimum(first, second).amax(dim=-1).clamp_min(min_near)
    far = torch.maximum(first, second).amin(dim=-1)
    hit = far > near
    closest = -(rays.origins * direction).sum(dim=-1)
    missed = closest.clamp_min(min_near)
    return Bounds(torch.where(hit, near, missed), torch.where(hit, far, missed), hit)
