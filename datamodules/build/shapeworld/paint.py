"""Random materials: saturated paint with or without a texture, wood, metal, leaves."""

from __future__ import annotations

import colorsys

import numpy as np

from datamodules.build.shapeworld.scene import Material, Pattern, Vec3


def hsv(hue: float, saturation: float, value: float) -> Vec3:
    """Linear RGB of a display colour given as hue, saturation and value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (red**2.2, green**2.2, blue**2.2)


def plain(rng: np.random.Generator, hue: float | None = None, glow: float = 0.0) -> Material:
    """One saturated colour, of a given hue if there is one."""
    drawn = rng.random()
    colour = hsv(drawn if hue is None else hue, rng.uniform(0.55, 0.9), rng.uniform(0.6, 0.95))
    return Material(colour, glow=glow)


def paint(rng: np.random.Generator) -> Material:
    """A colour alone, or with stripes, checks or clouds of a second one; periods 0.25 to 0.5."""
    hue = rng.random()
    base = hsv(hue, rng.uniform(0.35, 0.9), rng.uniform(0.5, 0.95))
    other = hue + rng.choice((0.08, 0.33, 0.5, -0.12)) + rng.uniform(-0.05, 0.05)
    accent = hsv(other, rng.uniform(0.2, 0.85), rng.uniform(0.45, 0.98))
    choices = (Pattern.SOLID, Pattern.STRIPES, Pattern.BANDS, Pattern.CHECKS, Pattern.CLOUDS)
    pattern = choices[rng.choice(5, p=(0.4, 0.2, 0.12, 0.1, 0.18))]
    return Material(base, accent, pattern, rng.uniform(0.25, 0.5))


def wood(rng: np.random.Generator) -> Material:
    """Brown with soft darker clouds."""
    hue, value = rng.uniform(0.05, 0.1), rng.uniform(0.35, 0.75)
    saturation = rng.uniform(0.45, 0.7)
    grain = hsv(hue, saturation, 0.75 * value)
    return Material(hsv(hue, saturation, value), grain, Pattern.CLOUDS, rng.uniform(0.2, 0.4))


def metal(rng: np.random.Generator) -> Material:
    """Light grey."""
    return Material(hsv(0.6, rng.uniform(0.0, 0.1), rng.uniform(0.6, 0.85)))


def dark(rng: np.random.Generator) -> Material:
    """Near black, as rubber or coal."""
    return Material(hsv(rng.random(), 0.1, rng.uniform(0.12, 0.22)))


def leaf(rng: np.random.Generator) -> Material:
    """Green, sometimes autumn yellow or red, in two soft tones."""
    hue = rng.uniform(0.22, 0.36) if rng.random() < 0.75 else rng.uniform(0.02, 0.14)
    saturation, value = rng.uniform(0.5, 0.8), rng.uniform(0.45, 0.75)
    shade = hsv(hue + 0.03, saturation, 0.7 * value)
    return Material(hsv(hue, saturation, value), shade, Pattern.CLOUDS, rng.uniform(0.25, 0.4))
