"""Several objects along each ray: which comes first differs from ray to ray."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layers:
    """N objects as B x R rays see them, each alone, in any order.

    rgb: (N, B, R, 3) colour times opacity; opacity: (N, B, R) in [0, 1]; disparity: (N, B, R)
    opacity times the mean 1 / distance of what stops the light; near: (N, B, R) distance at which
    the ray enters the object's box, inf where it misses.
    """

    rgb: Tensor
    opacity: Tensor
    disparity: Tensor
    near: Tensor


def merge_layers(layers: Layers) -> Layers:
    """Composite the objects, nearest first on each ray, to one layer (1, B, R).

    Exact where the intervals of a ray within two boxes never overlap: boxes that do not meet are
    convex, so that a ray leaves one before it enters the next, and the light that comes through is
    the product over what lies before.

    >>> near = torch.tensor([5.0, 2.0]).view(2, 1, 1)
    >>> rgb = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.25, 0.0]]).view(2, 1, 1, 3)
    >>> opacity = torch.tensor([0.5, 0.25]).view(2, 1, 1)
    >>> merge_layers(Layers(rgb, opacity, opacity / near, near)).rgb.flatten().tolist()
    [0.375, 0.25, 0.0]
    """
    order = layers.near.argsort(0)  # (N, B, R)
    opacity = layers.opacity.gather(0, order)
    before = torch.cat([torch.ones_like(opacity[:1]), (1 - opacity[:-1]).cumprod(0)])
    rgb = layers.rgb.gather(0, order[..., None].expand_as(layers.rgb))
    disparity = layers.disparity.gather(0, order)
    return Layers(
        (before[..., None] * rgb).sum(0, keepdim=True),
        (before * opacity).sum(0, keepdim=True),
        (before * disparity).sum(0, keepdim=True),
        layers.near.amin(0, keepdim=True),
    )
