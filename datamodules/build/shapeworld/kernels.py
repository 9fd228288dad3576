"""Compiled geometry: distance functions, sphere tracing, shadows and ambient occlusion.

All kernels are in this one file on purpose: numba's on-disk cache notices a change of the file an
entry point is in, not of the files it calls into. Scalar float64 arithmetic without fast-math, so
that the same scene gives the same bytes on every run. Distance functions after Quilez, "Distance
functions" (2008-2020); soft shadows after Quilez, "Soft shadows in raymarched SDFs" (2010).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

_NEVER = 1e9
_HIT = 2e-4
_MAX_STEPS = 500
_SHADOW_STEPS = 48
_SHADOW_REACH = 4.0
_OCCLUSION_REACH = 0.14

V3 = tuple[float, float, float]
V4 = tuple[float, float, float, float]


class World(NamedTuple):
    """A scene as flat arrays, the form the kernels read."""

    kind: np.ndarray  # (n,) int64
    params: np.ndarray  # (n, 4)
    centre: np.ndarray  # (n, 3)
    rotation: np.ndarray  # (n, 3, 3) local to world
    sphere: np.ndarray  # (n, 4) bounding spheres: centre, radius
    around: np.ndarray  # (1, 4) a sphere around them all
    light: np.ndarray  # (4,) direction and sharpness
    ground: float  # height of the ground plane


@njit(inline="always")
def _length(x: float, y: float) -> float:
    return math.sqrt(x * x + y * y)


@njit
def _box(x: float, y: float, z: float, p: V4) -> float:
    qx, qy, qz = abs(x) - p[0] + p[3], abs(y) - p[1] + p[3], abs(z) - p[2] + p[3]
    outside = math.sqrt(max(qx, 0.0) ** 2 + max(qy, 0.0) ** 2 + max(qz, 0.0) ** 2)
    return outside + min(max(qx, qy, qz), 0.0) - p[3]


@njit
def _ellipsoid(x: float, y: float, z: float, p: V4) -> float:
    ux, uy, uz = x / p[0], y / p[1], z / p[2]
    norm = math.sqrt(ux * ux + uy * uy + uz * uz)
    gradient = math.sqrt((ux / p[0]) ** 2 + (uy / p[1]) ** 2 + (uz / p[2]) ** 2)
    if gradient < 1e-9:
        return -min(p[0], p[1], p[2])
    return norm * (norm - 1.0) / gradient


@njit
def _cone(x: float, y: float, z: float, p: V4) -> float:
    edge = p[3]
    half, bottom, top = p[0] - edge, max(p[1] - edge, 0.0), max(p[2] - edge, 0.0)
    q = _length(x, z)
    cap_x = q - min(q, bottom if y < 0.0 else top)
    cap_y = abs(y) - half
    dx, dy = top - bottom, 2.0 * half
    along = ((top - q) * dx + (half - y) * dy) / (dx * dx + dy * dy)
    along = min(max(along, 0.0), 1.0)
    side_x = q - top + dx * along
    side_y = y - half + dy * along
    sign = -1.0 if side_x < 0.0 and cap_y < 0.0 else 1.0
    nearest = min(cap_x * cap_x + cap_y * cap_y, side_x * side_x + side_y * side_y)
    return sign * math.sqrt(nearest) - edge


@njit
def _tube(x: float, y: float, z: float, p: V4) -> float:
    half = 0.5 * p[2]
    qx, qy = abs(_length(x, z) - p[1] + half) - 0.6 * half, abs(y) - p[0] + 0.4 * half
    return _length(max(qx, 0.0), max(qy, 0.0)) + min(max(qx, qy), 0.0) - 0.4 * half


@njit
def _wedge(x: float, y: float, z: float, p: V4) -> float:
    slope = math.sqrt((2.0 * p[1]) ** 2 + p[2] ** 2)
    roof = (abs(z) * 2.0 * p[1] + (y - p[1]) * p[2]) / slope
    return max(roof, -y - p[1], abs(x) - p[0])


@njit(cache=True)
def local_distance(kind: int, p: V4, x: float, y: float, z: float) -> float:
    """Signed distance (or a lower bound of it) from a local point to a primitive of that kind."""
    if kind == 0:
        return _ellipsoid(x, y, z, p)
    if kind == 1:
        return _box(x, y, z, p)
    if kind == 2:
        return _cone(x, y, z, p)
    if kind == 3:
        return math.sqrt(x * x + (y - min(max(y, -p[0]), p[0])) ** 2 + z * z) - p[1]
    if kind == 4:
        return _length(_length(x, z) - p[0], y) - p[1]
    if kind == 5:
        return _tube(x, y, z, p)
    return _wedge(x, y, z, p)


@njit
def _to_local(world: World, i: int, p: V3) -> V3:
    c = world.centre
    return _turned(world, i, (p[0] - c[i, 0], p[1] - c[i, 1], p[2] - c[i, 2]))


@njit(inline="always")
def _turned(world: World, i: int, v: V3) -> V3:
    """Rotate a world direction into the frame of primitive i."""
    r = world.rotation
    return (
        r[i, 0, 0] * v[0] + r[i, 1, 0] * v[1] + r[i, 2, 0] * v[2],
        r[i, 0, 1] * v[0] + r[i, 1, 1] * v[1] + r[i, 2, 1] * v[2],
        r[i, 0, 2] * v[0] + r[i, 1, 2] * v[1] + r[i, 2, 2] * v[2],
    )


@njit(inline="always")
def _row(table: np.ndarray, i: int) -> V4:
    # Four numbers, not a view: views cost a reference count each in the innermost loops.
    return (table[i, 0], table[i, 1], table[i, 2], table[i, 3])


@njit
def _distance(world: World, i: int, p: V3) -> float:
    x, y, z = _to_local(world, i, p)
    return local_distance(world.kind[i], _row(world.params, i), x, y, z)


@njit(inline="always")
def _along(o: V3, d: V3, t: float) -> V3:
    return (o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2])


@njit
def _meets(sphere: V4, o: V3, d: V3, spread: float) -> tuple[float, float]:
    """Entry and exit of a ray through a sphere widened by `spread` per distance, or _NEVER."""
    x, y, z = sphere[0] - o[0], sphere[1] - o[1], sphere[2] - o[2]
    along = x * d[0] + y * d[1] + z * d[2]
    radius = sphere[3] + spread * max(along, 0.0)
    beside = x * x + y * y + z * z - along * along
    if beside >= radius * radius or along <= -radius:
        return _NEVER, -1.0
    half = math.sqrt(radius * radius - beside)
    # The widened sphere is taken at its centre's distance; `half` grows to cover its far side.
    return along - half, along + half * (1.0 + spread)


@njit
def _cull(world: World, o: V3, d: V3, spread: float, near: np.ndarray) -> int:
    """Write the primitives whose sphere the ray meets into `near` (n, 9) and return their number.

    A row is the primitive, where the ray enters and leaves, and the ray in the primitive's frame.
    """
    count = 0
    if _meets(_row(world.around, 0), o, d, spread)[0] == _NEVER:
        return count
    for i in range(world.kind.shape[0]):
        enter, leave = _meets(_row(world.sphere, i), o, d, spread)
        if enter == _NEVER:
            continue
        near[count, 0], near[count, 1], near[count, 2] = i, enter, leave
        near[count, 3], near[count, 4], near[count, 5] = _to_local(world, i, o)
        near[count, 6], near[count, 7], near[count, 8] = _turned(world, i, d)
        count += 1
    return count


@njit(inline="always")
def _distance_on_ray(world: World, near: np.ndarray, k: int, t: float) -> float:
    i, p = int(near[k, 0]), _row(world.params, int(near[k, 0]))
    x, y, z = near[k, 3] + t * near[k, 6], near[k, 4] + t * near[k, 7], near[k, 5] + t * near[k, 8]
    return local_distance(world.kind[i], p, x, y, z)


@njit
def trace(world: World, o: V3, d: V3, limit: float, near: np.ndarray) -> tuple[int, float]:
    """Follow a ray up to `limit`: the primitive it meets, -1 for none, and the distance to it."""
    count, t = _cull(world, o, d, 0.0, near), 0.0
    for _ in range(_MAX_STEPS):
        step = _NEVER
        for k in range(count):
            if t < near[k, 1]:
                step = min(step, near[k, 1] - t)
            elif t <= near[k, 2]:
                distance = _distance_on_ray(world, near, k, t)
                if distance < _HIT:
                    return int(near[k, 0]), t
                step = min(step, 0.95 * distance)
        t += max(step, 1e-6)
        if t > limit:
            break
    return -1, limit


@njit
def _shadow(world: World, p: V3, near: np.ndarray) -> float:
    """Share of the light that reaches a point, in [0, 1]."""
    light = world.light
    count = _cull(world, p, (light[0], light[1], light[2]), 1.0 / light[3], near)
    lit, t = 1.0, 0.01
    for _ in range(_SHADOW_STEPS):
        step = _NEVER
        for k in range(count):
            if t < near[k, 1]:
                step = min(step, near[k, 1] - t)
            elif t <= near[k, 2]:
                distance = _distance_on_ray(world, near, k, t)
                lit = min(lit, light[3] * distance / t)
                step = min(step, distance)
        t += max(step, 0.01)
        if t > _SHADOW_REACH or lit < 0.01:
            break
    lit = max(lit, 0.0)
    return lit * lit * (3.0 - 2.0 * lit)


@njit(inline="always")
def _beyond(sphere: V4, p: V3) -> bool:
    x, y, z = p[0] - sphere[0], p[1] - sphere[1], p[2] - sphere[2]
    reach = sphere[3] + _OCCLUSION_REACH
    return x * x + y * y + z * z > reach * reach


@njit
def _openness(world: World, p: V3, n: V3) -> float:
    """Share of a short step along the normal that stays free of other surfaces, in [0, 1]."""
    q = _along(p, n, _OCCLUSION_REACH)
    free = min(_OCCLUSION_REACH, q[1] - world.ground)
    if _beyond(_row(world.around, 0), q):
        return free / _OCCLUSION_REACH
    for i in range(world.kind.shape[0]):
        if not _beyond(_row(world.sphere, i), q):
            free = min(free, _distance(world, i, q))
    return max(free, 0.0) / _OCCLUSION_REACH


@njit
def _normal(world: World, i: int, p: V3) -> V3:
    """Unit normal from four distances at the corners of a small tetrahedron."""
    e, x, y, z = 1e-3, 0.0, 0.0, 0.0
    for sx, sy, sz in ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0)):
        distance = _distance(world, i, (p[0] + e * sx, p[1] + e * sy, p[2] + e * sz))
        x, y, z = x + sx * distance, y + sy * distance, z + sz * distance
    norm = math.sqrt(x * x + y * y + z * z) + 1e-12
    return (x / norm, y / norm, z / norm)


@njit(cache=True)
def trace_rays(
    world: World, origin: np.ndarray, directions: np.ndarray, surface: np.ndarray, t: np.ndarray
) -> None:
    """Follow unit rays (R, 3) from one origin (3,), given what they meet behind all primitives.

    Where a primitive is nearer than `t` (R,), it takes its place in `surface` (R,) int32 and `t`.
    """
    near = np.empty((world.kind.shape[0], 9))
    o = (origin[0], origin[1], origin[2])
    for r in range(directions.shape[0]):
        d = (directions[r, 0], directions[r, 1], directions[r, 2])
        which, distance = trace(world, o, d, t[r], near)
        if which >= 0:
            surface[r], t[r] = which, distance


@njit(cache=True)
def light_hits(
    world: World,
    points: np.ndarray,
    surface: np.ndarray,
    local: np.ndarray,
    normals: np.ndarray,
    lit: np.ndarray,
    openness: np.ndarray,
) -> None:
    """Fill texture coordinates of primitives, normals (R, 3), shadow and openness (R,).

    Only of primitives and the ground (surface >= -1) at `points` (R, 3).
    """
    near = np.empty((world.kind.shape[0], 9))
    for r in range(points.shape[0]):
        p, i = (points[r, 0], points[r, 1], points[r, 2]), surface[r]
        if i < -1:
            continue
        n = (0.0, 1.0, 0.0)
        if i >= 0:
            n = _normal(world, i, p)
            local[r] = _to_local(world, i, p)
        normals[r] = n
        lit[r] = _shadow(world, _along(p, n, 0.01), near)
        openness[r] = _openness(world, p, n)
