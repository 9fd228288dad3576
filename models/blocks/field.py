"""The field: triplane features at a point to density and colour by a small MLP."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from renderers.contraction import CubeMap
from renderers.radiance import Radiance
from renderers.ranges import check_number
from renderers.triplane_mlp import MLPWeights

COLOR_MARGIN = 0.001
"""Colours reach slightly past [0, 1] (as in EG3D), so that black and white have finite logits."""


@dataclass(frozen=True)
class DensityPrior:
    """Initial density, its bias and slope along z: softplus(raw + bias - slope * z), z of the cube.

    With a slope density rises away from the camera on +z, so that rays first end at a finite depth.
    A field of low constant density can lose all of it to the far plane, and its gradient with it.
    """

    bias: float = -1.0
    slope: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that leave no density, or infinite ones."""
        check_number("bias", self.bias, -1000, 1000)
        check_number("slope", self.slope, -1000, 1000)


def _middle_layer(width: int) -> nn.Linear:
    # Softplus halves variation around 0, and nn.Linear's own weights keep only 1/sqrt(3) of it: two
    # such layers leave a twelfth of what varies over a scene. Twice an orthogonal matrix keeps it.
    # The bias takes out the constant softplus(0) = ln 2 of the inputs, which those weights would
    # otherwise turn into a random offset of every unit.
    layer = nn.Linear(width, width)
    nn.init.orthogonal_(layer.weight, gain=2.0)
    with torch.no_grad():
        layer.bias.copy_(-math.log(2.0) * layer.weight.sum(dim=1))
    return layer


class TriplaneField(nn.Module):
    """Linear, softplus, Linear on the sum of three plane features, without view direction.

    Args:
        channels: C of the planes.
        hidden: K, width of the hidden layers.
        prior: the initial density.
        middle_layers: how many more Linear (K to K), softplus lie before the output; two make the
            deeper decoder of arXiv 2402.00225.
        features: F, at least 3: the first three are the colour, more are for a super-resolution.

    Raises:
        ValueError: for fewer than no middle layers or fewer than 3 features.
    """

    def __init__(
        self,
        channels: int,
        hidden: int = 64,
        prior: DensityPrior = DensityPrior(),
        *,
        middle_layers: int = 0,
        features: int = 3,
    ) -> None:
        super().__init__()
        if middle_layers < 0:
            raise ValueError(f"middle_layers must be at least 0, got {middle_layers}")
        if features < 3:
            raise ValueError(f"features must be at least 3, the colour, got {features}")
        self.prior = prior
        self.hidden = nn.Linear(channels, hidden)
        self.out = nn.Linear(hidden, 1 + features)
        self.middle = nn.ModuleList(_middle_layer(hidden) for _ in range(middle_layers))

    def forward(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate planes (B, 3, C, H, W) at points (B, N, 3) of the cube [-1, 1]^3.

        Returns density (B, N) float32 >= 0 and features (B, N, F) in about [0, 1], colour first.
        """
        return self.radiance(planes, CubeMap())(points)

    def radiance(self, planes: Tensor, cube: CubeMap) -> Radiance:
        """The field of scenes of which planes (B, 3, C, H, W) are known, in the world."""
        linears = cast(Iterable[nn.Linear], self.middle)
        middle = tuple((layer.weight, layer.bias) for layer in linears)
        ends = (self.hidden.weight, self.hidden.bias, self.out.weight, self.out.bias)
        weights, prior = MLPWeights(*ends, middle), self.prior
        return Radiance(planes, weights, prior.bias, prior.slope, COLOR_MARGIN, cube)
