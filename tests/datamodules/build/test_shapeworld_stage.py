import math
from dataclasses import replace

import numpy as np
import pytest

from datamodules.build.shapeworld import scene_for
from datamodules.build.shapeworld.scene import Background, Wall
from datamodules.build.shapeworld.stage import FAR, GROUND, SKY, WALL, meet_stage

ORIGIN = np.array([1.0, 0.5, 0.0])


def background(kind: Wall, **changes: float) -> Background:
    plain = scene_for(0, "train", 0).background
    fixed = replace(plain, kind=kind, distance=4.0, height=1.0, ground_height=-0.5)
    return replace(fixed, relief=0.0, turn=0.0, **changes)


def meet(back: Background, x: float, y: float, z: float) -> tuple[int, float]:
    direction = np.array([[x, y, z]]) / math.sqrt(x * x + y * y + z * z)
    surface, t = meet_stage(back, ORIGIN, direction)
    return int(surface[0]), float(t[0])


@pytest.mark.parametrize("kind", [Wall.ROUND, Wall.SQUARE])
def test_wall_stands_at_its_distance_and_ends_at_its_height(kind: Wall) -> None:
    back = background(kind)
    assert meet(back, 1.0, 0.0, 0.0) == (SKY, FAR)  # the eye is 1.0 above the ground, as the wall
    surface, t = meet(back, -1.0, -0.05, 0.0)
    assert surface == WALL
    assert t == pytest.approx(5.0 * math.hypot(1.0, 0.05))
    assert meet(back, -1.0, 0.05, 0.0) == (SKY, FAR)


def test_round_and_square_walls_differ_in_the_diagonal() -> None:
    direction = (3.0, -0.1, 4.0)
    length = math.sqrt(25.01)
    assert meet(background(Wall.SQUARE), *direction)[1] == pytest.approx(length)
    round_t = meet(background(Wall.ROUND), *direction)[1] / length
    assert (1.0 + 3.0 * round_t) ** 2 + (4.0 * round_t) ** 2 == pytest.approx(16.0)


def test_turning_a_square_by_an_eighth_brings_its_corner_forward() -> None:
    back = replace(background(Wall.SQUARE), turn=math.pi / 4)
    assert meet(back, 1.0, -0.01, 0.0)[1] == pytest.approx(4.0 * math.sqrt(2.0) - 1.0, rel=1e-3)


def test_ground_lies_below_open_sky() -> None:
    back = background(Wall.NONE)
    assert meet(back, 0.0, -1.0, 0.0) == (GROUND, 1.0)
    assert meet(back, 3.0, -1.0, 4.0)[1] == pytest.approx(math.sqrt(26.0))
    assert meet(back, 1.0, 0.0, 0.0) == (SKY, FAR)
