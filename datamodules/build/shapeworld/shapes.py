"""Constructors for primitives, the boxes around them, and placing an object in the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from datamodules.build.shapeworld.scene import (
    IDENTITY,
    Kind,
    Material,
    Matrix3,
    Primitive,
    Vec3,
)


def ellipsoid(centre: Vec3, radii: Vec3, material: Material) -> Primitive:
    """Axis-aligned ellipsoid."""
    return Primitive(Kind.ELLIPSOID, (*radii, 0.0), centre, material)


def ball(centre: Vec3, radius: float, material: Material) -> Primitive:
    """Sphere."""
    return ellipsoid(centre, (radius, radius, radius), material)


def box(
    low: Vec3, high: Vec3, material: Material, rounding: float = 0.01, tilt: float = 0.0
) -> Primitive:
    """Box between two corners, its edges rounded, turned about z by `tilt` radians."""
    half = tuple(0.5 * (b - a) for a, b in zip(low, high, strict=True))
    centre = tuple(0.5 * (a + b) for a, b in zip(low, high, strict=True))
    edge = min(rounding, 0.95 * min(half))
    c, s = math.cos(tilt), math.sin(tilt)
    rotation: Matrix3 = ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)) if tilt else IDENTITY
    return Primitive(
        Kind.BOX,
        (half[0], half[1], half[2], edge),
        (centre[0], centre[1], centre[2]),
        material,
        rotation,
    )


def cone(
    start: Vec3, end: Vec3, radii: tuple[float, float], material: Material, rounding: float = 0.008
) -> Primitive:
    """Truncated cone from `start` to `end` with the two radii; equal radii make a cylinder."""
    centre, half, rotation = _axis(start, end)
    params = (half, radii[0], radii[1], min(rounding, 0.4 * half))
    return Primitive(Kind.CONE, params, centre, material, rotation)


def rod(start: Vec3, end: Vec3, radius: float, material: Material) -> Primitive:
    """Cylinder from `start` to `end`."""
    return cone(start, end, (radius, radius), material)


def capsule(start: Vec3, end: Vec3, radius: float, material: Material) -> Primitive:
    """Cylinder with half-sphere ends centred at `start` and `end`."""
    centre, half, rotation = _axis(start, end)
    return Primitive(Kind.CAPSULE, (half, radius, 0.0, 0.0), centre, material, rotation)


def ring(centre: Vec3, axis: Vec3, radii: tuple[float, float], material: Material) -> Primitive:
    """Torus about `axis` with major and minor radius."""
    end = (centre[0] + axis[0], centre[1] + axis[1], centre[2] + axis[2])
    rotation = _axis(centre, end)[2]
    return Primitive(Kind.TORUS, (*radii, 0.0, 0.0), centre, material, rotation)


def tube(start: Vec3, end: Vec3, radius: float, thickness: float, material: Material) -> Primitive:
    """Hollow cylinder of an outer radius and a wall thickness."""
    centre, half, rotation = _axis(start, end)
    return Primitive(Kind.TUBE, (half, radius, thickness, 0.0), centre, material, rotation)


def gable(low: Vec3, high: Vec3, material: Material) -> Primitive:
    """Gable roof that fills a box, its ridge along x."""
    prism = box(low, high, material)
    return replace(prism, kind=Kind.WEDGE, params=(*prism.params[:3], 0.0))


def _axis(start: Vec3, end: Vec3) -> tuple[Vec3, float, Matrix3]:
    """Centre, half length and the rotation that takes +y to the direction from start to end."""
    a, b = np.array(start, float), np.array(end, float)
    length = float(np.linalg.norm(b - a))
    y = (b - a) / length
    helper = np.array([1.0, 0.0, 0.0]) if abs(y[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    z = np.cross(helper, y)
    z /= np.linalg.norm(z)
    columns = np.stack([np.cross(y, z), y, z], axis=1)
    return _vec(0.5 * (a + b)), 0.5 * length, (_vec(columns[0]), _vec(columns[1]), _vec(columns[2]))


def _vec(values: np.ndarray) -> Vec3:
    return (float(values[0]), float(values[1]), float(values[2]))


def half_extents(primitive: Primitive) -> np.ndarray:
    """Half sizes (3,) of the axis-aligned box around a primitive, in world units."""
    rotation, p = np.array(primitive.rotation), primitive.params
    axis = rotation[:, 1]
    across = np.sqrt(np.maximum(1.0 - axis**2, 0.0))
    match primitive.kind:
        case Kind.ELLIPSOID:
            return np.sqrt(((rotation * np.array(p[:3])) ** 2).sum(axis=1))
        case Kind.CONE | Kind.TUBE:
            radius = max(p[1], p[2]) if primitive.kind is Kind.CONE else p[1]
            return np.abs(axis) * p[0] + across * radius
        case Kind.CAPSULE:
            return np.abs(axis) * p[0] + p[1]
        case Kind.TORUS:
            return across * p[0] + p[1]
        case _:
            return np.abs(rotation) @ np.array(p[:3])


def bounding_radius(primitive: Primitive) -> float:
    """Radius of a sphere about the primitive's centre that holds it."""
    p = primitive.params
    match primitive.kind:
        case Kind.ELLIPSOID:
            return max(p[:3])
        case Kind.CONE:
            return math.hypot(p[0], max(p[1], p[2]))
        case Kind.TUBE:
            return math.hypot(p[0], p[1])
        case Kind.CAPSULE | Kind.TORUS:
            return p[0] + p[1]
        case _:
            return math.hypot(*p[:3])


def bounds(primitives: Sequence[Primitive]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner (3,) of the axis-aligned box around primitives."""
    centres = np.array([p.centre for p in primitives])
    halves = np.array([half_extents(p) for p in primitives])
    return (centres - halves).min(axis=0), (centres + halves).max(axis=0)


def place(
    primitives: Sequence[Primitive], extent: float, centre: Vec3
) -> tuple[tuple[Primitive, ...], Vec3]:
    """Scale an object so that its largest side is `extent` and move its box's middle to `centre`.

    Returns the primitives and the box's sizes along x, y, z.
    """
    low, high = bounds(primitives)
    scale = extent / float((high - low).max())
    middle = 0.5 * (low + high)
    placed = []
    for primitive in primitives:
        a, b, c, d = primitive.params
        moved = (np.array(primitive.centre) - middle) * scale + np.array(centre)
        params = (scale * a, scale * b, scale * c, scale * d)
        placed.append(replace(primitive, centre=_vec(moved), params=params))
    return tuple(placed), _vec((high - low) * scale)
