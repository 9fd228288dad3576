"""The object classes of shapeworld, each a recipe of primitives with random proportions and paint.

An object is built in any unit with x along its length (front at +x), y up and z across; the scene
scales it and sets it on the ground.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from datamodules.build.shapeworld.paint import dark, leaf, metal, paint, plain, wood
from datamodules.build.shapeworld.scene import Material, Primitive
from datamodules.build.shapeworld.shapes import (
    ball,
    box,
    capsule,
    cone,
    ellipsoid,
    gable,
    ring,
    rod,
    tube,
)

Recipe = Callable[[np.random.Generator], list[Primitive]]
_SIDES = (-1.0, 1.0)
_SNOW = Material((0.85, 0.87, 0.92))
_GLASS = Material((0.12, 0.2, 0.3))


def airplane(rng: np.random.Generator) -> list[Primitive]:
    """Fuselage along x, wings, tail and landing gear."""
    body, wing, engine = paint(rng), paint(rng), dark(rng)
    radius, span, sweep = rng.uniform(0.24, 0.3), rng.uniform(0.75, 0.95), rng.uniform(0.0, 0.25)
    axis, fin = 0.28 + radius, rng.uniform(0.4, 0.55)
    parts = [
        ellipsoid((0.0, axis, 0.0), (0.95, radius, radius), body),
        ellipsoid((0.5, axis + 0.7 * radius, 0.0), (0.24, 0.14, 0.15), _GLASS),
        box((-0.95, axis, -0.045), (-0.6, axis + radius + fin, 0.045), wing, 0.04),
        box((-0.92, axis + 0.04, -0.45), (-0.62, axis + 0.13, 0.45), wing, 0.04),
        box((-0.12 - sweep, axis - 0.12, -span), (0.36 - sweep, axis - 0.01, span), wing, 0.05),
    ]
    for side in _SIDES:
        z, low = 0.55 * span * side, axis - 0.14
        parts.append(capsule((0.05 - sweep, low, z), (0.4 - sweep, low, z), 0.12, engine))
        parts.append(rod((-0.1, 0.0, 0.28 * side), (-0.1, axis, 0.15 * side), 0.05, engine))
    return [*parts, rod((0.6, 0.0, 0.0), (0.55, axis, 0.0), 0.05, engine)]


def car(rng: np.random.Generator) -> list[Primitive]:
    """Body, cabin, windows, four wheels and lamps."""
    body, tyre = paint(rng), dark(rng)
    height, cabin = rng.uniform(0.32, 0.44), rng.uniform(0.28, 0.4)
    back, front = rng.uniform(-0.85, -0.45), rng.uniform(0.2, 0.5)
    top = 0.16 + height + cabin
    parts = [
        box((-1.0, 0.16, -0.42), (1.0, 0.16 + height, 0.42), body, 0.1),
        box((back, height, -0.37), (front, top, 0.37), body, 0.1),
        box((back + 0.1, height + 0.14, -0.385), (front - 0.1, top - 0.07, 0.385), _GLASS, 0.03),
        box((back - 0.012, height + 0.15, -0.3), (front + 0.012, top - 0.06, 0.3), _GLASS, 0.03),
    ]
    wheel = rng.uniform(0.18, 0.22)
    for x, side in product((-0.6, 0.6), _SIDES):
        parts.append(rod((x, wheel, 0.3 * side), (x, wheel, 0.45 * side), wheel, tyre))
        parts.append(rod((x, wheel, 0.3 * side), (x, wheel, 0.46 * side), 0.5 * wheel, metal(rng)))
    lamps = ((0.97, Material((0.9, 0.85, 0.6), glow=0.6)), (-0.97, Material((0.7, 0.03, 0.02))))
    parts += [ball((x, 0.32, 0.27 * side), 0.07, lamp) for (x, lamp) in lamps for side in _SIDES]
    return parts


def chair(rng: np.random.Generator) -> list[Primitive]:
    """Seat, four legs and a back, sometimes with arms."""
    frame, seat = wood(rng), paint(rng)
    half, leg, back = rng.uniform(0.36, 0.46), rng.uniform(0.4, 0.6), rng.uniform(0.55, 0.8)
    parts = [box((-half, leg, -half), (half, leg + 0.12, half), seat, 0.05)]
    parts += _legs(half - 0.05, half - 0.05, leg + 0.05, rng.uniform(0.045, 0.07), frame)
    top = leg + 0.1 + back
    if rng.random() < 0.5:
        parts.append(box((-half, leg, -half), (-half + 0.11, top, half), seat, 0.05))
    else:
        for z in (-half + 0.05, half - 0.05):
            parts.append(rod((-half + 0.05, leg, z), (-half + 0.05, top, z), 0.05, frame))
        parts.append(box((-half, top - 0.3, -half), (-half + 0.1, top, half), seat, 0.04))
    if rng.random() < 0.35:
        for side in _SIDES:
            z, arm = side * half, leg + 0.38
            parts.append(capsule((-half + 0.05, arm, z), (half - 0.05, arm, z), 0.05, frame))
            parts.append(rod((half - 0.08, leg, z), (half - 0.08, arm, z), 0.04, frame))
    return parts


def house(rng: np.random.Generator) -> list[Primitive]:
    """Walls, gable roof, door, windows and a chimney."""
    walls, roof, trim = paint(rng), plain(rng), wood(rng)
    x, z = rng.uniform(0.5, 0.75), rng.uniform(0.42, 0.55)
    wall, rise = rng.uniform(0.5, 0.75), rng.uniform(0.35, 0.6)
    pane = Material((0.25, 0.4, 0.55), glow=0.15) if rng.random() < 0.5 else _GLASS
    parts = [
        box((-x, 0.0, -z), (x, wall, z), walls, 0.01),
        gable((-x - 0.08, wall, -z - 0.12), (x + 0.08, wall + rise, z + 0.12), roof),
        box((-0.12, 0.0, 0.0), (0.12, 0.4, z + 0.02), trim),
        box((0.25, wall + 0.05, 0.1), (0.42, wall + rise + 0.1, 0.27), trim),
    ]
    for side in _SIDES:
        centre = side * 0.58 * x
        parts.append(box((centre - 0.12, 0.22, -z - 0.02), (centre + 0.12, 0.44, z + 0.02), pane))
    return [*parts, box((-x - 0.02, 0.22, -0.13), (x + 0.02, 0.44, 0.13), pane)]


def lamp(rng: np.random.Generator) -> list[Primitive]:
    """Floor or table lamp: foot, stem and a conical shade that glows."""
    stand = metal(rng) if rng.random() < 0.5 else wood(rng)
    shade = plain(rng, glow=rng.uniform(0.15, 0.6))
    height, low, high = rng.uniform(0.7, 1.15), rng.uniform(0.32, 0.46), rng.uniform(0.14, 0.28)
    drop = rng.uniform(0.34, 0.5)
    parts = [
        cone((0.0, 0.0, 0.0), (0.0, 0.08, 0.0), (rng.uniform(0.24, 0.34), 0.2), stand),
        rod((0.0, 0.05, 0.0), (0.0, height, 0.0), 0.045, stand),
        cone((0.0, height - 0.1, 0.0), (0.0, height + drop, 0.0), (low, high), shade),
    ]
    if rng.random() < 0.5:
        belly = rng.uniform(0.14, 0.22)
        parts.append(ellipsoid((0.0, 0.3, 0.0), (belly, rng.uniform(0.2, 0.28), belly), paint(rng)))
    return parts


def mug(rng: np.random.Generator) -> list[Primitive]:
    """Hollow cup with a ring as handle."""
    glaze, radius, height = paint(rng), rng.uniform(0.36, 0.48), rng.uniform(0.75, 1.05)
    grip = glaze if rng.random() < 0.6 else plain(rng)
    handle = rng.uniform(0.85, 1.0) * min(0.32, 0.5 * height - 0.17)
    return [
        tube((0.0, 0.0, 0.0), (0.0, height, 0.0), radius, 0.07, glaze),
        rod((0.0, 0.0, 0.0), (0.0, 0.1, 0.0), radius - 0.02, glaze),
        rod((0.0, 0.05, 0.0), (0.0, height - 0.1, 0.0), radius - 0.05, dark(rng)),
        ring((radius + 0.03, 0.5 * height, 0.0), (0.0, 0.0, 1.0), (handle, 0.06), grip),
    ]


def mushroom(rng: np.random.Generator) -> list[Primitive]:
    """Stem, domed cap and raised spots."""
    cap, stem = plain(rng), Material((0.75, 0.68, 0.55))
    height, radius, dome = rng.uniform(0.55, 0.8), rng.uniform(0.5, 0.68), rng.uniform(0.26, 0.38)
    parts = [
        cone((0.0, 0.0, 0.0), (0.0, height, 0.0), (rng.uniform(0.2, 0.28), 0.15), stem, 0.04),
        ellipsoid((0.0, height, 0.0), (radius, dome, radius), cap),
        cone((0.0, height - 0.32, 0.0), (0.0, height + 0.02, 0.0), (0.18, 0.8 * radius), stem),
    ]
    turn = rng.uniform(0.0, 2.0 * np.pi)
    for k, lift in enumerate((0.75, 0.75, 0.75, 0.75, 0.75, 1.5)):
        angle = turn + 2.0 * np.pi * k / 5.0
        out, up = radius * np.cos(lift), dome * np.sin(lift)
        spot = (out * float(np.cos(angle)), height + up, out * float(np.sin(angle)))
        parts.append(ball(spot, rng.uniform(0.08, 0.12), _SNOW))
    return parts


def rocket(rng: np.random.Generator) -> list[Primitive]:
    """Cylinder with a nose cone, a nozzle, a porthole and fins."""
    body, trim = paint(rng), plain(rng)
    radius, height, nose = rng.uniform(0.2, 0.3), rng.uniform(0.85, 1.2), rng.uniform(0.35, 0.55)
    top, fin = 0.2 + height, rng.uniform(0.24, 0.34)
    parts = [
        rod((0.0, 0.2, 0.0), (0.0, top, 0.0), radius, body),
        cone((0.0, top, 0.0), (0.0, top + nose, 0.0), (radius, 0.02), trim),
        cone((0.0, 0.06, 0.0), (0.0, 0.22, 0.0), (0.8 * radius, 0.5 * radius), dark(rng)),
        ball((radius - 0.04, 0.72 * top, 0.0), 0.1, _GLASS),
    ]
    for side in _SIDES:
        reach = side * (radius + fin)
        low, high = min(0.0, reach), max(0.0, reach)
        parts.append(box((low, 0.0, -0.035), (high, 0.4, 0.035), trim, 0.03))
        parts.append(box((-0.035, 0.0, low), (0.035, 0.4, high), trim, 0.03))
    return parts


def snowman(rng: np.random.Generator) -> list[Primitive]:
    """Three balls, a carrot nose, eyes, a hat and a scarf."""
    low, mid, head = rng.uniform(0.4, 0.5), rng.uniform(0.29, 0.36), rng.uniform(0.2, 0.26)
    chest = 1.6 * low + 0.75 * mid
    face = chest + 0.8 * mid + 0.75 * head
    coal, hat = dark(rng), plain(rng)
    parts = [
        ball((0.0, 0.95 * low, 0.0), low, _SNOW),
        ball((0.0, chest, 0.0), mid, _SNOW),
        ball((0.0, face, 0.0), head, _SNOW),
        cone((head - 0.03, face, 0.0), (head + 0.25, face, 0.0), (0.07, 0.01), plain(rng, 0.07)),
        ring((0.0, face - 0.8 * head, 0.0), (0.0, 1.0, 0.0), (0.75 * head, 0.075), plain(rng)),
        rod((0.0, face + 0.7 * head, 0.0), (0.0, face + 0.8 * head, 0.0), 1.25 * head, hat),
        rod((0.0, face + 0.7 * head, 0.0), (0.0, face + 2.2 * head, 0.0), 0.75 * head, hat),
    ]
    parts += [ball((0.82 * head, face + 0.4 * head, 0.4 * head * s), 0.05, coal) for s in _SIDES]
    arms = [((0.0, chest, 0.2 * s), (0.1, chest + 0.25, (mid + 0.3) * s)) for s in _SIDES]
    return parts + [rod(start, end, 0.035, wood(rng)) for start, end in arms]


def sofa(rng: np.random.Generator) -> list[Primitive]:
    """Long seat with back, arm rests, cushions and feet."""
    cloth, cushion, feet = paint(rng), paint(rng), wood(rng)
    z, depth = rng.uniform(0.7, 1.0), rng.uniform(0.38, 0.46)
    seat, arm, back = 0.36, rng.uniform(0.52, 0.64), rng.uniform(0.75, 0.95)
    parts = [
        box((-depth, 0.08, -z), (depth, seat, z), cloth, 0.05),
        box((-depth, 0.08, -z), (-depth + 0.24, back, z), cloth, 0.09),
    ]
    for side in _SIDES:
        low, high = sorted((side * z, side * (z - 0.2)))
        parts.append(box((-depth, 0.08, low), (depth, arm, high), cloth, 0.09))
        low, high = sorted((side * 0.01, side * (z - 0.21)))
        parts.append(box((-0.2, seat - 0.08, low), (depth + 0.02, seat + 0.1, high), cushion, 0.06))
    return parts + _legs(depth - 0.08, z - 0.1, 0.12, 0.05, feet)


def table(rng: np.random.Generator) -> list[Primitive]:
    """Square or round top on four legs or on a foot."""
    top = wood(rng) if rng.random() < 0.6 else paint(rng)
    legs = wood(rng)
    x, z, height = rng.uniform(0.6, 0.95), rng.uniform(0.45, 0.65), rng.uniform(0.5, 0.75)
    if rng.random() < 0.35:
        parts = [rod((0.0, height, 0.0), (0.0, height + 0.1, 0.0), x, top)]
        parts.append(cone((0.0, 0.06, 0.0), (0.0, height, 0.0), (0.14, 0.09), legs))
        return [*parts, cone((0.0, 0.0, 0.0), (0.0, 0.09, 0.0), (0.42, 0.3), legs)]
    parts = [box((-x, height, -z), (x, height + 0.1, z), top, 0.03)]
    parts.append(box((-x + 0.1, height - 0.1, -z + 0.1), (x - 0.1, height, z - 0.1), legs))
    return parts + _legs(x - 0.1, z - 0.1, height, rng.uniform(0.05, 0.08), legs)


def tree(rng: np.random.Generator) -> list[Primitive]:
    """Trunk under a round crown of several blobs, or under stacked cones."""
    bark, crown = wood(rng), leaf(rng)
    trunk = rng.uniform(0.35, 0.6)
    parts = [cone((0.0, 0.0, 0.0), (0.0, trunk + 0.3, 0.0), (0.12, 0.08), bark)]
    if rng.random() < 0.5:
        width = rng.uniform(0.42, 0.55)
        for k in range(3):
            base, wide = trunk + 0.32 * k - 0.12, width * (1.0 - 0.24 * k)
            parts.append(cone((0.0, base, 0.0), (0.0, base + 0.55, 0.0), (wide, 0.03), crown, 0.02))
        return parts
    radius = rng.uniform(0.36, 0.46)
    parts.append(ball((0.0, trunk + 0.85 * radius, 0.0), radius, crown))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    for k in range(4):
        angle, far = turn + 0.5 * np.pi * k, rng.uniform(0.6, 0.8) * radius
        x, z = far * float(np.cos(angle)), far * float(np.sin(angle))
        lift = trunk + radius * rng.uniform(0.6, 1.3)
        parts.append(ball((x, lift, z), radius * rng.uniform(0.55, 0.75), crown))
    return parts


def _legs(x: float, z: float, height: float, radius: float, material: Material) -> list[Primitive]:
    return [
        rod((sx * x, 0.0, sz * z), (sx * x, height, sz * z), radius, material)
        for sx, sz in product(_SIDES, _SIDES)
    ]


RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        airplane,
        car,
        chair,
        house,
        lamp,
        mug,
        mushroom,
        rocket,
        snowman,
        sofa,
        table,
        tree,
    )
}
CLASSES = tuple(RECIPES)
