"""Directions to look from: uniform on the sphere or on a band of it, and several far apart.

A direction is the unit vector (..., 3) from the origin to a camera. `direction_angles` turns it
into the yaw and pitch of `renderers.cameras`. Views of one scene are a fixed constellation turned
at random, so that each alone is uniform and all are as far apart as they can be.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))


def constellation(views: int, device: torch.device | str = "cpu") -> Tensor:
    """Return V unit vectors (V, 3) far apart: opposite, a triangle, a tetrahedron, then a spiral.

    Their smallest angle is 180, 120 and 109.5 degrees for two, three and four views, which is the
    largest possible; more lie on a Fibonacci spiral.
    """
    if views < 1:
        raise ValueError(f"A scene needs at least one view, got {views}.")
    if views <= 3:
        angle = torch.arange(views, device=device) * (2.0 * math.pi / views)
        return torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()], dim=-1)
    number = torch.arange(views, device=device)
    if views == 4:
        x, y = 1.0 - 2.0 * (number // 2), 1.0 - 2.0 * (number % 2)
        return torch.stack([x, y, x * y], dim=-1) / math.sqrt(3.0)
    height = 1.0 - (2.0 * number + 1.0) / views
    angle, ring = number * GOLDEN_ANGLE, (1.0 - height.square()).sqrt()
    return torch.stack([ring * angle.sin(), height, ring * angle.cos()], dim=-1)


def random_rotations(count: int, rng: torch.Generator) -> Tensor:
    """Return rotation matrices (count, 3, 3), uniform over all rotations.

    A normalised Gaussian in four dimensions is a uniform unit quaternion.
    """
    w, x, y, z = normalize(_normal((count, 4), rng), dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def sphere_directions(scenes: int, views: int, rng: torch.Generator) -> Tensor:
    """Return V directions a scene (B, V, 3), each uniform on the sphere, together far apart."""
    fixed = constellation(views, rng.device)
    turned = random_rotations(scenes, rng)
    return (turned.unsqueeze(1) * fixed.unsqueeze(1).unsqueeze(0)).sum(dim=-1)


def band_directions(
    scenes: int,
    views: int,
    yaw: tuple[float, float],
    pitch: tuple[float, float],
    rng: torch.Generator,
) -> Tensor:
    """Return V directions a scene (B, V, 3), each uniform on the band of the sphere between two
    yaws and two pitches, in radians.

    The V yaws of a scene lie one V-th of the band's width apart, at a random place in it and
    wrapping round; pitches are independent.
    """
    uniform = torch.rand(scenes, 1, generator=rng, device=rng.device)
    steps = torch.arange(views, device=rng.device) / views
    yaws = yaw[0] + (uniform + steps).remainder(1.0) * (yaw[1] - yaw[0])
    low, high = math.sin(pitch[0]), math.sin(pitch[1])
    heights = torch.rand(scenes, views, generator=rng, device=rng.device)
    height = low + heights * (high - low)
    ring = (1.0 - height.square()).clamp_min(0.0).sqrt()
    return torch.stack([ring * yaws.sin(), height, ring * yaws.cos()], dim=-1)


def perturbed(directions: Tensor, spread: float, rng: torch.Generator) -> Tensor:
    """Return directions (..., 3), turned at random with a spread in radians along either axis."""
    noise = _normal(tuple(directions.shape), rng)
    return normalize(directions + spread * noise, dim=-1)


def direction_angles(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return yaw and pitch (...) in radians of directions (..., 3).

    >>> yaw, pitch = direction_angles(torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    >>> yaw.rad2deg().round().tolist(), pitch.tolist()
    ([0.0, 90.0], [0.0, 0.0])
    """
    x, y, z = directions.unbind(-1)
    return torch.atan2(x, z), torch.asin(y.clamp(-1.0, 1.0))


def _normal(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng, device=rng.device)
