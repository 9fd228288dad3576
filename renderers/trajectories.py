"""Camera paths for videos: from a number of views to yaws and pitches (V,) in radians, relative to
the view they start from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Angles = tuple[Tensor, Tensor]


def _phase(views: int) -> Tensor:
    """Return `views` angles in [0, 2 pi): a closed path that repeats without a doubled frame."""
    return torch.arange(_checked(views)) * (2.0 * math.pi / views)


def _checked(views: int) -> int:
    if views < 1:
        raise ValueError(f"a trajectory needs at least one view, got {views}")
    return views


def orbit(views: int) -> Angles:
    """Circle once around the origin at constant pitch.

    >>> yaw, pitch = orbit(4)
    >>> yaw.rad2deg().round().tolist(), pitch.tolist()
    ([0.0, 90.0, 180.0, 270.0], [0.0, 0.0, 0.0, 0.0])
    """
    return _phase(views), torch.zeros(views)


def front_arc(views: int, extent: float = math.pi / 8) -> Angles:
    """Sweep yaw once from -extent to +extent (radians) at constant pitch.

    >>> yaw, pitch = front_arc(3, extent=math.radians(20))
    >>> yaw.rad2deg().round().tolist()
    [-20.0, 0.0, 20.0]
    """
    still = torch.zeros(_checked(views))
    return (torch.linspace(-extent, extent, views) if views > 1 else still), still


def wiggle(
    views: int, yaw_extent: float = math.pi / 8, pitch_extent: float = math.pi / 18
) -> Angles:
    """Move along an ellipse around the first view, extents in radians; a closed path.

    >>> yaw, pitch = wiggle(8)
    >>> round(math.degrees(yaw[2]), 3), round(math.degrees(pitch[0]), 3)  # farthest, highest
    (22.5, 10.0)
    """
    phase = _phase(views)
    return yaw_extent * phase.sin(), pitch_extent * phase.cos()


def spiral(views: int, turns: float = 2.0, pitch_extent: float = math.pi / 3) -> Angles:
    """Rise from pitch -pitch_extent to +pitch_extent (radians) in `turns` turns.

    >>> yaw, pitch = spiral(3, turns=1.0)
    >>> yaw.rad2deg().round().tolist(), pitch.rad2deg().round().tolist()
    ([0.0, 180.0, 360.0], [-60.0, 0.0, 60.0])
    """
    progress = torch.linspace(0.0, 1.0, _checked(views))
    return progress * (2.0 * math.pi * turns), (2.0 * progress - 1.0) * pitch_extent
