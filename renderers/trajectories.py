"""Camera paths for videos: from a number of views to a Camera of batch shape (V,)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from renderers.cameras import Camera, orbit_camera

Target = Tensor | Sequence[float]
ORIGIN = (0.0, 0.0, 0.0)


def _phase(views: int) -> Tensor:
    """Return `views` angles in [0, 2 pi): a closed path that repeats without a doubled frame."""
    if views < 1:
        raise ValueError(f"a trajectory needs at least one view, got {views}")
    return torch.arange(views) * (2.0 * math.pi / views)


def orbit(
    views: int, radius: float, fov_degrees: float, pitch: float = 0.0, target: Target = ORIGIN
) -> Camera:
    """Circle once around `target` at constant pitch (radians), starting in front."""
    return orbit_camera(_phase(views), pitch, radius, fov_degrees, target)


def front_arc(
    views: int,
    radius: float,
    fov_degrees: float,
    extent: float = math.pi / 8,
    pitch: float = 0.0,
    target: Target = ORIGIN,
) -> Camera:
    """Sweep yaw once from -extent to +extent (radians) at constant pitch."""
    if views < 1:
        raise ValueError(f"a trajectory needs at least one view, got {views}")
    yaw = torch.linspace(-extent, extent, views) if views > 1 else torch.zeros(1)
    return orbit_camera(yaw, pitch, radius, fov_degrees, target)


def wiggle(
    views: int,
    radius: float,
    fov_degrees: float,
    yaw_extent: float = math.pi / 8,
    pitch_extent: float = math.pi / 18,
    target: Target = ORIGIN,
) -> Camera:
    """Move along an ellipse around the front view, extents in radians; a closed path."""
    phase = _phase(views)
    yaw, pitch = yaw_extent * phase.sin(), pitch_extent * phase.cos()
    return orbit_camera(yaw, pitch, radius, fov_degrees, target)


def spiral(
    views: int,
    radius: float,
    fov_degrees: float,
    turns: float = 2.0,
    pitch_extent: float = math.pi / 3,
    target: Target = ORIGIN,
) -> Camera:
    """Rise from pitch -pitch_extent to +pitch_extent (radians) in `turns` turns."""
    if views < 1:
        raise ValueError(f"a trajectory needs at least one view, got {views}")
    progress = torch.linspace(0.0, 1.0, views)
    yaw = progress * (2.0 * math.pi * turns)
    return orbit_camera(yaw, (2.0 * progress - 1.0) * pitch_extent, radius, fov_degrees, target)
