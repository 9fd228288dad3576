"""Surroundings of an object: light of a time of day, ground, wall and sky, occluders."""

from __future__ import annotations

import math

import numpy as np

from datamodules.build.shapeworld.paint import dark, hsv, leaf, paint, wood
from datamodules.build.shapeworld.scene import (
    Background,
    Light,
    Material,
    Pattern,
    Pose,
    Primitive,
    Vec3,
    Wall,
)
from datamodules.build.shapeworld.shapes import ball, box, capsule, cone

# No wall may come between the object and a camera, which orbits at up to 2.63 units.
_NEAREST_WALL = 3.2
_DUSK_SKY = hsv(0.75, 0.25, 0.55)
_DUSK_GROUND = hsv(0.03, 0.4, 0.4)


def draw_light(rng: np.random.Generator, time_of_day: str, yaw: float) -> Light:
    """Key light from the camera's side (within 100 degrees of its yaw), coloured by the time."""
    turn = yaw + math.radians(rng.uniform(-100.0, 100.0))
    if time_of_day == "day":
        height, sharpness = math.radians(rng.uniform(30.0, 65.0)), rng.uniform(8.0, 20.0)
        sun, above, below = hsv(0.12, 0.1, 1.0), hsv(0.6, 0.15, 0.72), hsv(0.1, 0.2, 0.45)
        power = rng.uniform(0.9, 1.15)
    elif time_of_day == "dawn_dusk":
        height, sharpness = math.radians(rng.uniform(12.0, 25.0)), rng.uniform(5.0, 12.0)
        sun, above, below = hsv(rng.uniform(0.04, 0.09), 0.5, 1.0), _DUSK_SKY, _DUSK_GROUND
        power = rng.uniform(0.65, 0.8)
    else:
        height, sharpness = math.radians(rng.uniform(30.0, 60.0)), rng.uniform(5.0, 10.0)
        lamp = rng.random() < 0.4
        sun = hsv(0.11, 0.5, 1.0) if lamp else hsv(0.6, 0.3, 0.9)
        above, below = hsv(0.63, 0.45, 0.4), hsv(0.65, 0.5, 0.25)
        power = rng.uniform(0.2, 0.32)
    flat = math.cos(height)
    return Light(
        direction=(flat * math.sin(turn), math.sin(height), flat * math.cos(turn)),
        colour=_scaled(sun, power),
        ambient_above=above,
        ambient_below=below,
        sharpness=sharpness,
    )


def draw_background(rng: np.random.Generator, time_of_day: str, ground: float) -> Background:
    """Ground at the given height, then open land, hills, a low wall or a room around the object."""
    horizon, zenith = _sky(rng, time_of_day)
    style = rng.choice(("open", "hills", "fence", "room", "hall"), p=(0.15, 0.2, 0.2, 0.25, 0.2))
    kind, relief, height, wall = Wall.NONE, 0.0, math.inf, _wall_material(rng)
    distance = rng.uniform(_NEAREST_WALL, 6.5)
    if style == "hills":
        kind, relief, wall = Wall.ROUND, rng.uniform(0.2, 0.5), _soft(leaf(rng), 1.0)
        distance, height = rng.uniform(9.0, 18.0), rng.uniform(0.12, 0.22) * 10.0
    elif style == "fence":
        kind, height = rng.choice((Wall.ROUND, Wall.SQUARE)), rng.uniform(0.7, 1.6)
        distance = rng.uniform(_NEAREST_WALL, 5.0)
    elif style == "room":
        kind = Wall.SQUARE
    elif style == "hall":
        kind = Wall.ROUND
    return Background(
        ground=_ground_material(rng, outdoors=style in ("open", "hills", "fence")),
        wall=wall,
        sky_horizon=horizon,
        sky_zenith=zenith,
        ground_height=ground,
        kind=Wall(kind),
        distance=distance,
        height=height,
        relief=relief,
        turn=rng.uniform(0.0, 2.0 * math.pi),
    )


def draw_occluders(rng: np.random.Generator, pose: Pose, ground: float) -> tuple[Primitive, ...]:
    """A post, a bush or a low box between the camera and the object, off the image's middle."""
    away = rng.uniform(0.95, 1.3)
    aside = rng.choice((-1.0, 1.0)) * rng.uniform(0.2, 0.45)
    forward = np.array([math.sin(pose.yaw), 0.0, math.cos(pose.yaw)])
    right = np.array([forward[2], 0.0, -forward[0]])
    x, _, z = (away * forward + aside * right).tolist()
    style = rng.choice(("post", "bush", "crate"), p=(0.4, 0.35, 0.25))
    # Tops reach the line of sight to the object, else a high camera looks over all of them.
    top = max(away * math.tan(pose.pitch), ground + 0.25) + rng.uniform(-0.1, 0.3)
    if style == "post":
        radius, top = rng.uniform(0.03, 0.06), top + rng.uniform(0.0, 0.5)
        return (capsule((x, ground, z), (x, top, z), radius, _post_material(rng)),)
    if style == "crate":
        half = rng.uniform(0.08, 0.14)
        low, high = (x - half, ground, z - half), (x + half, top, z + half)
        return (box(low, high, wood(rng) if rng.random() < 0.5 else paint(rng), 0.02),)
    return _bush(rng, (x, ground, z), top)


def draw_screen(rng: np.random.Generator, pose: Pose, ground: float) -> tuple[Primitive, ...]:
    """A wall or a hedge between the camera and the object, which hides about half of it: one side
    of it, or its lower part."""
    away = rng.uniform(0.95, 1.2)
    forward = np.array([math.sin(pose.yaw), 0.0, math.cos(pose.yaw)])
    right = np.array([forward[2], 0.0, -forward[0]])
    side, edge = rng.choice((-1.0, 0.0, 1.0), p=(0.35, 0.3, 0.35)), rng.uniform(-0.08, 0.12)
    # The line of sight to the object's middle passes at this height there.
    sight = away * math.tan(pose.pitch)
    top = sight + (rng.uniform(0.4, 0.8) if side else rng.uniform(-0.08, 0.08))
    top = max(top, ground + 0.1)
    half_width = 0.35 if side else 0.7
    middle = away * forward + side * (edge + half_width) * right
    posts = np.linspace(-half_width, half_width, 1 + round(2 * half_width / 0.14))
    material = leaf(rng) if rng.random() < 0.4 else paint(rng)
    return tuple(
        capsule(
            (x, ground, z), (x, max(top - 0.08, ground + 0.02), z), rng.uniform(0.08, 0.1), material
        )
        for x, _, z in ((middle + step * right).tolist() for step in posts)
    )


def _bush(rng: np.random.Generator, foot: Vec3, height: float) -> tuple[Primitive, ...]:
    x, y, z = foot
    foliage = leaf(rng)
    size = rng.uniform(0.1, 0.15)
    top = height - 0.5 * size
    stem = cone(foot, (x, top, z), (0.03, 0.02), wood(rng))
    blobs = [ball((x, top, z), size, foliage)]
    for _ in range(4):
        shift = rng.uniform(-0.9, 0.9, 3) * size
        centre = (x + shift[0], max(top + shift[1], y + 0.05), z + shift[2])
        blobs.append(ball(centre, size * rng.uniform(0.5, 0.8), foliage))
    return (stem, *blobs)


def _post_material(rng: np.random.Generator) -> Material:
    if rng.random() < 0.4:
        return Material(hsv(0.0, 0.8, 0.8), hsv(0.0, 0.0, 0.95), Pattern.STRIPES, 0.4)
    return wood(rng) if rng.random() < 0.5 else dark(rng)


def _sky(rng: np.random.Generator, time_of_day: str) -> tuple[Vec3, Vec3]:
    """Display-referred sky colours at the horizon and overhead."""
    if time_of_day == "day":
        hue = rng.uniform(0.54, 0.62)
        return hsv(hue, rng.uniform(0.05, 0.25), 0.9), hsv(hue, rng.uniform(0.3, 0.75), 0.8)
    if time_of_day == "dawn_dusk":
        zenith = hsv(rng.uniform(0.62, 0.8), 0.5, 0.45)
        return hsv(rng.uniform(0.02, 0.1), rng.uniform(0.4, 0.7), 0.85), zenith
    return hsv(rng.uniform(0.6, 0.68), 0.5, 0.3), hsv(0.65, 0.7, 0.12)


def _ground_material(rng: np.random.Generator, outdoors: bool) -> Material:
    pattern = Pattern.CLOUDS
    if outdoors:
        hue, saturation = rng.choice(((0.27, 0.5), (0.1, 0.35), (0.6, 0.05), (0.2, 0.4)))
        hue += rng.uniform(-0.03, 0.03)
        value, period = rng.uniform(0.35, 0.75), rng.uniform(0.8, 1.6)
    else:
        hue, saturation = rng.random(), rng.uniform(0.05, 0.4)
        value, period = rng.uniform(0.35, 0.85), rng.uniform(0.9, 1.6)
        pattern = (Pattern.CLOUDS, Pattern.CHECKS, Pattern.BANDS)[rng.choice(3, p=(0.5, 0.3, 0.2))]
    base = hsv(hue, saturation, value)
    return Material(base, hsv(hue + 0.02, saturation, 0.78 * value), pattern, period)


def _wall_material(rng: np.random.Generator) -> Material:
    hue, saturation, value = rng.random(), rng.uniform(0.05, 0.55), rng.uniform(0.4, 0.9)
    patterns = (Pattern.SOLID, Pattern.CLOUDS, Pattern.STRIPES, Pattern.BANDS)
    pattern = patterns[rng.choice(4, p=(0.35, 0.35, 0.15, 0.15))]
    accent = hsv(hue + rng.uniform(-0.06, 0.06), saturation, 0.8 * value)
    return Material(hsv(hue, saturation, value), accent, pattern, rng.uniform(1.0, 2.2))


def _soft(material: Material, period: float) -> Material:
    return Material(material.base, material.accent, Pattern.CLOUDS, 4.0 * period)


def _scaled(colour: Vec3, factor: float) -> Vec3:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
