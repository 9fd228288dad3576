"""Search for where a photograph was taken from, near a first guess."""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from lightning_modules.inference.inversion.target import InversionTarget
from models.autoencoder import CanonicalView
from models.scenes import Scenes
from models.view_distribution import ViewDistribution

FIRST, LAST = math.radians(12), math.radians(1)
"""Steps in radians that the search begins with, and that it ends below."""


@torch.no_grad()
def nearest_view(
    target: InversionTarget, scenes: Scenes, views: ViewDistribution
) -> InversionTarget:
    """The target, its view moved to where a scene (1) is nearest to the photograph.

    Pattern search (Hooke and Jeeves, 1961) over yaw and pitch, within the distribution of views: a
    better one of four neighbours is taken, else the step is halved.
    """
    step, nearest = FIRST, float(target.loss(scenes))
    while step > LAST:
        around = [replace(target, view=view) for view in _neighbours(target.view, step, views)]
        distances = [float(other.loss(scenes)) for other in around]
        if distances and min(distances) < nearest:
            nearest = min(distances)
            target = around[distances.index(nearest)]
        else:
            step /= 2
    return target


def _neighbours(
    view: CanonicalView, step: float, views: ViewDistribution
) -> Iterator[CanonicalView]:
    """Views a step away along the circles of yaw and pitch, as far as there are any."""
    low, high = (math.radians(limit) for limit in views.pitch_degrees)
    left, right = (math.radians(limit) for limit in views.yaw_degrees)
    whole = right - left > 2 * math.pi - 1e-6
    # Circles of yaw shrink towards the poles.
    turn = step / max(math.cos(view.pitch), math.sin(step))
    for yaw in (view.yaw - turn, view.yaw + turn):
        if whole or left <= yaw <= right:
            yield replace(view, yaw=math.remainder(yaw, 2 * math.pi))
    for pitch in (view.pitch - step, view.pitch + step):
        if low <= pitch <= high:
            yield replace(view, pitch=pitch)
