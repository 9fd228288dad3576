"""Ground, wall and sky, which rays meet when no primitive is in their way."""

from __future__ import annotations

import numpy as np

from datamodules.build.shapeworld.scene import Background, Wall

SKY, WALL, GROUND = -3, -2, -1  # surface codes; primitives are 0, 1, 2, ...
FAR = 1e9  # distance of the sky


def meet_stage(
    back: Background, origin: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Surface codes (R,) int32 and distances (R,) along unit rays (R, 3) from inside the walls."""
    falling = np.minimum(directions[:, 1], -1e-9)
    to_ground = np.maximum(origin[1] - back.ground_height, 0.0) / -falling
    to_ground = np.where(directions[:, 1] < -1e-9, to_ground, FAR)
    to_wall = _meet_wall(back, origin, directions)
    t = np.minimum(np.minimum(to_ground, to_wall), FAR)
    surface = np.where(t == FAR, SKY, np.where(to_wall < to_ground, WALL, GROUND))
    return surface.astype(np.int32), t


def turned(points: np.ndarray, turn: float) -> np.ndarray:
    """Rotate points (R, 3) about the y axis by `turn` radians, from +z towards -x."""
    c, s = np.cos(turn), np.sin(turn)
    x, z = points[:, 0], points[:, 2]
    return np.stack([c * x - s * z, points[:, 1], s * x + c * z], axis=1)


def _meet_wall(back: Background, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Distance (R,) to the inner side of the wall, FAR above its top."""
    if back.kind is Wall.NONE:
        return np.full(len(directions), FAR)
    o, d = turned(origin[None], back.turn), turned(directions, back.turn)
    if back.kind is Wall.SQUARE:
        steep = np.where(np.abs(d) < 1e-12, 1e-12, d)
        sides = (np.copysign(back.distance, steep) - o) / steep
        t = np.minimum(sides[:, 0], sides[:, 2])
    else:
        a = np.maximum(d[:, 0] ** 2 + d[:, 2] ** 2, 1e-12)
        b = o[:, 0] * d[:, 0] + o[:, 2] * d[:, 2]
        inside = o[:, 0] ** 2 + o[:, 2] ** 2 - back.distance**2
        t = (-b + np.sqrt(np.maximum(b * b - a * inside, 0.0))) / a
    points = o + t[:, None] * d
    return np.where(points[:, 1] - back.ground_height < _top(back, points), t, FAR)


def _top(back: Background, points: np.ndarray) -> np.ndarray:
    """Height (R,) of the wall over the ground at points (R, 3) in the wall's frame."""
    if not back.relief:
        return np.full(len(points), back.height)
    angle = np.arctan2(points[:, 2], points[:, 0])
    wave = 0.5 * np.sin(3.0 * angle) + 0.3 * np.sin(7.0 * angle + 1.0)
    return back.height * (1.0 + back.relief * (wave + 0.2 * np.sin(12.0 * angle + 2.0)))
