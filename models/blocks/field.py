"""The field: triplane features at a point to density and colour by a small MLP."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from renderers.triplane_mlp import MLPWeights, triplane_mlp

COLOR_MARGIN = 0.001
"""Colours reach slightly past [0, 1] (as in EG3D), so that black and white have finite logits."""


@dataclass(frozen=True)
class DensityPrior:
    """Fog that a field starts from: density = softplus(raw + bias - slope * z), z of the cube.

    With a slope it thickens away from the camera on +z, so that rays first end at a finite depth.
    A field that starts evenly thin can lose all density to the far plane, and its gradient with it.
    """

    bias: float = -1.0
    slope: float = 0.0


class TriplaneField(nn.Module):
    """Linear, softplus, Linear on the sum of three plane features, without view direction.

    Args:
        channels: C of the planes.
        hidden: width of the hidden layer.
        prior: the fog at initialisation.
    """

    def __init__(
        self, channels: int, hidden: int = 64, prior: DensityPrior = DensityPrior()
    ) -> None:
        super().__init__()
        self.prior = prior
        self.hidden = nn.Linear(channels, hidden)
        self.out = nn.Linear(hidden, 1 + 3)

    def forward(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate planes (B, 3, C, H, W) at points (B, N, 3) of the cube [-1, 1]^3.

        Returns density (B, N) float32 >= 0 and colour (B, N, 3) in about [0, 1].
        """
        weights = MLPWeights(self.hidden.weight, self.hidden.bias, self.out.weight, self.out.bias)
        raw, color = triplane_mlp(planes, points, weights, "sigmoid")
        density = F.softplus(raw + self.prior.bias - self.prior.slope * points[..., 2])
        return density, color * (1 + 2 * COLOR_MARGIN) - COLOR_MARGIN
