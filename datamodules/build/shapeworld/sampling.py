"""Draw scene number `index` of a split: a pure function of (seed, split, index)."""

from __future__ import annotations

import math

import numpy as np

from datamodules.build.shapeworld.recipes import CLASSES, RECIPES
from datamodules.build.shapeworld.scene import Pose, Scene
from datamodules.build.shapeworld.shapes import place
from datamodules.build.shapeworld.surroundings import (
    draw_background,
    draw_light,
    draw_occluders,
    draw_screen,
)
from datamodules.modalities import SPLITS, TIMES_OF_DAY

RADIUS = 2.5
FOV_DEGREES = 40.0
OCCLUDED_SHARE = 0.2
_TIME_SHARES = (0.5, 0.25, 0.25)


def scene_for(seed: int, split: str, index: int, half_hidden: float = 0.0) -> Scene:
    """Scene `index` of a split ("train" or "val"); classes take turns, all else is random.

    The object's longest side is 1.1 to 1.35 units, its middle near the origin, its front at +x.
    half_hidden: share of scenes that are as they would be without it, but for a wall or a hedge
    that hides about half of the object.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, SPLITS.index(split), index)))
    label = index % len(CLASSES)
    time_of_day = TIMES_OF_DAY[rng.choice(3, p=_TIME_SHARES)]
    pose = _draw_pose(rng)
    centre = tuple(rng.uniform(-0.05, 0.05, 3).tolist())
    objects, (length, height, width) = place(
        RECIPES[CLASSES[label]](rng), rng.uniform(1.1, 1.35), centre
    )
    ground = centre[1] - 0.5 * height
    background = draw_background(rng, time_of_day, ground)
    light = draw_light(rng, time_of_day, pose.yaw)
    occluded = rng.random() < OCCLUDED_SHARE
    occluders = draw_occluders(rng, pose, ground) if occluded else ()
    if rng.random() < half_hidden:
        occluders = draw_screen(rng, pose, ground)
    return Scene(
        class_name=CLASSES[label],
        label=label,
        objects=objects,
        occluders=occluders,
        light=light,
        background=background,
        time_of_day=time_of_day,
        pose=pose,
        size=(length, width, height),
        centre=centre,
    )


def _draw_pose(rng: np.random.Generator) -> Pose:
    """Any azimuth, 5 to 35 degrees of elevation with low views more often, 5 % of distance."""
    return Pose(
        yaw=rng.uniform(0.0, 2.0 * math.pi),
        pitch=math.radians(5.0 + 30.0 * rng.random() ** 1.4),
        radius=RADIUS * rng.uniform(0.95, 1.05),
        fov_degrees=FOV_DEGREES,
    )
