"""From what rays hit to colours: procedural textures, sky, light; linear RGB until `to_display`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.build.shapeworld.scene import Background, Light, Material, Pattern, Scene, Wall
from datamodules.build.shapeworld.stage import GROUND, SKY, WALL, turned

# Ray footprint for which textures on ground and wall are filtered, a pixel of a 64 px image in
# radians. It does not follow the resolution, so that every resolution shows the same scene.
_FOOTPRINT = 0.011
_FOG_DISTANCE = 30.0


@dataclass(frozen=True)
class Hits:
    """Hits of R rays: float64 arrays, `surface` int32 as in `stage`.

    surface (R,); t (R,); directions, points, local, normals (R, 3); lit, openness (R,) in [0, 1].
    """

    surface: np.ndarray
    t: np.ndarray
    directions: np.ndarray
    points: np.ndarray
    local: np.ndarray
    normals: np.ndarray
    lit: np.ndarray
    openness: np.ndarray


def shade(scene: Scene, hits: Hits) -> np.ndarray:
    """Colours (R, 3) in linear RGB, >= 0, of the rays."""
    back, light = scene.background, scene.light
    colours = np.empty_like(hits.directions)
    sky = hits.surface == SKY
    colours[sky] = _sky(back, hits.directions[sky])
    primitives = scene.objects + scene.occluders
    solid = hits.surface >= 0
    albedo, glow = _albedo([p.material for p in primitives], hits.surface[solid], hits.local[solid])
    colours[solid] = albedo * (
        _irradiance(light, hits.normals[solid], hits.lit[solid], hits.openness[solid])
        + glow[:, None]
    )
    for code, material in ((GROUND, back.ground), (WALL, back.wall)):
        chosen = hits.surface == code
        if chosen.any():
            colours[chosen] = _surroundings(back, light, material, hits, chosen)
    return colours


def to_display(linear: np.ndarray) -> np.ndarray:
    """Map linear RGB >= 0 to [0, 1] with a soft shoulder and a gamma of 2.2."""
    return (1.0 - np.exp(-1.5 * linear)) ** (1.0 / 2.2)


def _irradiance(
    light: Light, normals: np.ndarray, lit: np.ndarray, openness: np.ndarray
) -> np.ndarray:
    facing = np.clip(np.einsum("ri,i->r", normals, np.array(light.direction)), 0.0, None) * lit
    above = (0.5 + 0.5 * normals[:, 1:2]) * np.array(light.ambient_above)
    below = (0.5 - 0.5 * normals[:, 1:2]) * np.array(light.ambient_below)
    return facing[:, None] * np.array(light.colour) + (above + below) * (
        0.35 + 0.65 * openness[:, None]
    )


def _albedo(
    materials: Sequence[Material], index: np.ndarray, local: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colour (N, 3) and glow (N,) at local points (N, 3) of the materials with those indices."""
    base = np.array([m.base for m in materials])[index]
    accent = np.array([m.accent for m in materials])[index]
    pattern = np.array([m.pattern for m in materials])[index]
    scaled = local / np.array([m.period for m in materials])[index][:, None]
    blend = np.zeros(len(index))
    for kind in np.unique(pattern):
        chosen = pattern == kind
        blend[chosen] = texture(Pattern(kind), scaled[chosen])
    albedo = base + blend[:, None] * (accent - base)
    return albedo, np.array([m.glow for m in materials])[index]


def texture(pattern: Pattern, points: np.ndarray) -> np.ndarray:
    """Share (N,) of the accent colour in [0, 1] at points (N, 3), in periods of the pattern."""
    turns = 2.0 * np.pi * points
    match pattern:
        case Pattern.STRIPES:
            return _soft_step(np.sin(turns[:, 1]))
        case Pattern.BANDS:
            return _soft_step(np.sin(turns[:, 0] + 0.6))
        case Pattern.CHECKS:
            waves = np.cos(0.5 * turns[:, 0]) * np.cos(0.5 * turns[:, 1] + 0.4)
            return _soft_step(1.6 * waves * np.cos(0.5 * turns[:, 2]))
        case Pattern.CLOUDS:
            x, y, z = (0.7 * turns).T
            bent = x + 0.9 * np.sin(0.8 * z + 1.3) + 0.7 * np.sin(0.9 * y)
            waves = np.sin(bent) + np.sin(0.9 * y - 0.6 * bent + 2.0) + np.sin(1.1 * z + 0.5 * y)
            return 0.5 + 0.5 * np.tanh(0.8 * waves)
        case _:
            return np.zeros(len(points))


def _soft_step(wave: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(2.5 * wave)


def _sky(back: Background, directions: np.ndarray) -> np.ndarray:
    height = np.clip(directions[:, 1:2], 0.0, 1.0)
    colours = np.array(back.sky_horizon) + height**0.6 * (
        np.array(back.sky_zenith) - np.array(back.sky_horizon)
    )
    stretched = directions / (height + 0.25)
    clouds = texture(Pattern.CLOUDS, 0.35 * stretched)[:, None] ** 2
    return colours * (1.0 + 0.35 * clouds * np.minimum(4.0 * height, 1.0))


def _surroundings(
    back: Background, light: Light, material: Material, hits: Hits, chosen: np.ndarray
) -> np.ndarray:
    """Colours (N, 3) of the chosen ground or wall hits: texture, light, haze with distance."""
    points, t = hits.points[chosen], hits.t[chosen]
    normals = hits.normals[chosen]
    if material is back.wall:
        normals = _wall_normals(back, points)
    cosine = np.abs((normals * hits.directions[chosen]).sum(axis=1)) + 1e-3
    blur = _FOOTPRINT * t / (cosine * material.period)
    contrast = np.exp(-((2.0 * blur) ** 2))
    blend = texture(material.pattern, turned(points, back.turn) / material.period)
    blend = 0.5 + contrast * (blend - 0.5)
    base, accent = np.array(material.base), np.array(material.accent)
    albedo = base + blend[:, None] * (accent - base)
    colours = albedo * _irradiance(light, normals, hits.lit[chosen], hits.openness[chosen])
    haze = (1.0 - np.exp(-((t / _FOG_DISTANCE) ** 1.5)))[:, None]
    return colours + haze * (np.array(back.sky_horizon) - colours)


def _wall_normals(back: Background, points: np.ndarray) -> np.ndarray:
    """Inward normals (N, 3) of the wall, for shading."""
    inward = -points * np.array([1.0, 0.0, 1.0])
    if back.kind is Wall.SQUARE:
        inward = turned(inward, back.turn)
        larger = np.abs(inward[:, :1]) > np.abs(inward[:, 2:])
        inward *= np.concatenate([larger, larger, ~larger], axis=1)
        inward = turned(inward, -back.turn)
    return inward / np.linalg.norm(inward, axis=1, keepdims=True)
