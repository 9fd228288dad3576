"""Scenes of shapeworld: primitives, materials, light, surroundings, a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

Vec3 = tuple[float, float, float]
Matrix3 = tuple[Vec3, Vec3, Vec3]
IDENTITY: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Kind(IntEnum):
    """Shape of a primitive; the comments name its `params` in its own frame, +y being the axis."""

    ELLIPSOID = 0  # radii x, y, z
    BOX = 1  # half sizes x, y, z; edge rounding
    CONE = 2  # half height, bottom radius, top radius; edge rounding (equal radii: a cylinder)
    CAPSULE = 3  # half length of the axis, radius
    TORUS = 4  # major radius, minor radius
    TUBE = 5  # half height, outer radius, wall thickness
    WEDGE = 6  # half length x (the ridge), half height, half width z: a gable roof


class Pattern(IntEnum):
    """Texture of a material, between its base and its accent colour."""

    SOLID = 0
    STRIPES = 1
    CHECKS = 2
    CLOUDS = 3
    BANDS = 4


class Wall(IntEnum):
    """Walls around object and cameras alike, so that all views see one world."""

    NONE = 0  # open ground to the horizon
    ROUND = 1  # a cylinder about the y axis
    SQUARE = 2  # four straight walls about it


@dataclass(frozen=True)
class Material:
    """Colours in linear RGB, [0, 1]; `period` of the texture in world units; `glow` adds light."""

    base: Vec3
    accent: Vec3 = (0.0, 0.0, 0.0)
    pattern: Pattern = Pattern.SOLID
    period: float = 0.4
    glow: float = 0.0


@dataclass(frozen=True)
class Primitive:
    """One shape: world = rotation @ local + centre; `params` as `Kind` says."""

    kind: Kind
    params: tuple[float, float, float, float]
    centre: Vec3
    material: Material
    rotation: Matrix3 = IDENTITY


@dataclass(frozen=True)
class Light:
    """Directional key light (unit vector towards it) over a two-coloured ambient; linear RGB."""

    direction: Vec3
    colour: Vec3
    ambient_above: Vec3
    ambient_below: Vec3
    sharpness: float  # shadow edges: about 1 / angular size of the light in radians


@dataclass(frozen=True)
class Background:
    """Ground, wall and sky; the wall's `distance` from the y axis and `height` in world units."""

    ground: Material
    wall: Material
    sky_horizon: Vec3
    sky_zenith: Vec3
    ground_height: float
    kind: Wall = Wall.NONE
    distance: float = 5.0
    height: float = math.inf
    relief: float = 0.0  # undulation of the wall's top, relative to its height
    turn: float = 0.0  # rotation about y in radians


@dataclass(frozen=True)
class Pose:
    """Orbit camera about the object: radians, world units, vertical field of view in degrees."""

    yaw: float
    pitch: float
    radius: float
    fov_degrees: float = 40.0


@dataclass(frozen=True)
class Scene:
    """One object with its surroundings, and the pose of the photograph taken of it.

    `size` is the object's axis-aligned box: length (x), width (z), height (y) in world units, and
    `centre` the middle of that box.
    """

    class_name: str
    label: int
    objects: tuple[Primitive, ...]
    occluders: tuple[Primitive, ...]
    light: Light
    background: Background
    time_of_day: str
    pose: Pose
    size: Vec3
    centre: Vec3
