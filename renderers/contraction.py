"""Maps from world coordinates into the cube [-1, 1]^3 that the planes cover."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def contract(points: Tensor) -> Tensor:
    """Contract all of space (..., 3) into the open cube (-1, 1)^3.

    mip-NeRF 360 (arXiv 2111.12077, eq. 10) with the infinity norm, halved: x / 2 inside the unit
    cube, else (2 - 1/|x|) x / (2 |x|). The norm is floored at one, so both cases are one
    expression, smooth at the origin.

    >>> contract(torch.tensor([[0.5, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, -4.0]])).tolist()
    [[0.25, 0.0, 0.0], [0.75, 0.375, 0.0], [0.0, 0.0, -0.875]]
    """
    norm = points.abs().amax(dim=-1, keepdim=True).clamp_min(1.0)
    return points * ((1.0 - 0.5 / norm) / norm)


def uncontract(contracted: Tensor) -> Tensor:
    """Invert `contract` for coordinates (..., 3) in (-1, 1)^3; the border maps to 2^22.

    >>> uncontract(torch.tensor([[0.25, 0.0, 0.0], [0.75, 0.375, 0.0]])).tolist()
    [[0.5, 0.0, 0.0], [2.0, 1.0, 0.0]]
    """
    doubled = 2.0 * contracted
    norm = doubled.abs().amax(dim=-1, keepdim=True).clamp_min(1.0)
    radius = 1.0 / (2.0 - norm).clamp_min(2.0**-22)
    return torch.where(norm > 1.0, doubled * (radius / norm), doubled)


def normalise_box(points: Tensor, half_extent: float | Tensor) -> Tensor:
    """Map the box [-half_extent, half_extent]^3 linearly onto [-1, 1]^3; points outside leave the
    cube.

    half_extent: one number, or a tensor that broadcasts against points (..., 3).
    """
    return points / half_extent


@dataclass(frozen=True, eq=False)
class CubeMap:
    """Map of the world into the cube: points divided by `scale`, one number or (B, 3), None for
    one; then contracted, where so asked."""

    scale: float | Tensor | None = None
    contracted: bool = False

    def __call__(self, points: Tensor) -> Tensor:
        """World points (B, N, 3) to cube points (B, N, 3).

        >>> CubeMap(2.0, contracted=True)(torch.tensor([[[2.0, 0.0, 8.0]]])).tolist()
        [[[0.21875, 0.0, 0.875]]]
        """
        if isinstance(self.scale, Tensor):
            points = points / self.scale[:, None]
        elif self.scale is not None:
            points = points / self.scale
        return contract(points) if self.contracted else points
