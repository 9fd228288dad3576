"""The result of rendering rays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rendering:
    """What the rays see; float32, samples ordered by distance.

    rgb: (B, R, C) composited features, the background included when one was given.
    depth: (B, R) expected distance along the unit ray; disparity: (B, R) expected 1 / distance.
    Both count the
        light that passes all samples, 1 - opacity, at the far bound, so they need no division and
        are never NaN.
    opacity: (B, R) in [0, 1], the sum of the weights; weights, t: (B, R, S) of the samples.
    """

    rgb: Tensor
    depth: Tensor
    disparity: Tensor
    opacity: Tensor
    weights: Tensor
    t: Tensor


def concatenate_rays(parts: list[Rendering]) -> Rendering:
    """Join renderings of consecutive chunks of rays along the ray axis."""
    return Rendering(
        torch.cat([part.rgb for part in parts], dim=1),
        torch.cat([part.depth for part in parts], dim=1),
        torch.cat([part.disparity for part in parts], dim=1),
        torch.cat([part.opacity for part in parts], dim=1),
        torch.cat([part.weights for part in parts], dim=1),
        torch.cat([part.t for part in parts], dim=1),
    )
