"""Triplanes and an MLP as the field of scenes: what can be rendered in one kernel on a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from renderers.contraction import CubeMap
from renderers.triplane_mlp import MLPWeights, triplane_mlp


@dataclass(frozen=True, eq=False)
class Radiance:
    """Density and features at world points of B scenes.

    planes: (B, 3, C, H, W); bias, slope: of the density, softplus(logit + bias - slope z), z of the
    cube; margin: features reach so far past [0, 1]; cube: from the world to the cube of the planes.
    """

    planes: Tensor
    weights: MLPWeights
    bias: float = 0.0
    slope: float = 0.0
    margin: float = 0.0
    cube: CubeMap = CubeMap()

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density (B, N) float32 >= 0 and features (B, N, F) at world points (B, N, 3)."""
        points = self.cube(points)
        raw, features = triplane_mlp(self.planes, points, self.weights, "sigmoid")
        density = F.softplus(raw + self.bias - self.slope * points[..., 2])
        return density, self.stretched(features)

    def stretched(self, features: Tensor) -> Tensor:
        """Features of [0, 1], of any shape, with their margin."""
        low = features.new_full((), -self.margin)
        return torch.add(low, features, alpha=1 + 2 * self.margin)
