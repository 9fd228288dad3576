"""Render a scene from a camera: colour by 2x2 samples a pixel, depth and mask at its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.build.shapeworld.kernels import World, light_hits, trace_rays
from datamodules.build.shapeworld.scene import Scene
from datamodules.build.shapeworld.shading import Hits, shade, to_display
from datamodules.build.shapeworld.shapes import bounding_radius
from datamodules.build.shapeworld.stage import SKY, meet_stage
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT, MASK_OCCLUDER
from renderers.cameras import Camera, orbit_camera

_SUBPIXELS = np.array([(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)])


@dataclass(frozen=True)
class View:
    """One rendered image.

    rgb      (H, W, 3) uint8
    z_depth  (H, W) float32, distance along the camera's axis in world units, inf where the sky is
    mask     (H, W) uint8, 0 background, 1 object, 2 occluder
    """

    rgb: np.ndarray
    z_depth: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class _Traced:
    """R rays and what they met: directions (R, 3), surface (R,) as in `stage`, t (R,)."""

    origin: np.ndarray
    directions: np.ndarray
    surface: np.ndarray
    t: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> _Traced:
        return _Traced(self.origin, self.directions[chosen], self.surface[chosen], self.t[chosen])


def scene_camera(scene: Scene) -> Camera:
    """The unbatched camera that took the scene's photograph."""
    pose = scene.pose
    return orbit_camera(pose.yaw, pose.pitch, pose.radius, pose.fov_degrees)


def render(scene: Scene, camera: Camera, resolution: int = 64) -> View:
    """Render a square image of `resolution` pixels from an unbatched camera.

    A camera within 3.2 units of the y axis and above the ground is inside all walls. Raises
    ValueError for a batched camera.
    """
    if camera.cam2world.ndim != 2:
        raise ValueError(
            f"render takes one camera, cam2world (4, 4), got {tuple(camera.cam2world.shape)}: "
            "index the batch first."
        )
    world = _world(scene)
    rows, columns = np.indices((resolution, resolution)).reshape(2, -1)
    pixels = np.stack([columns + 0.5, rows + 0.5], axis=1) / resolution
    centres = _trace(scene, world, camera, pixels)
    forward = camera.cam2world[:3, 2].double().numpy()
    along = np.einsum("ri,i->r", centres.directions, forward)
    z = np.where(centres.surface == SKY, np.inf, centres.t * along)
    codes = np.where(centres.surface >= len(scene.objects), MASK_OCCLUDER, MASK_OBJECT)
    mask = np.where(centres.surface >= 0, codes, MASK_BACKGROUND)

    plain = _plain(centres.surface.reshape(resolution, resolution)).reshape(-1)
    colours = np.empty((len(pixels), 3))
    colours[plain] = _colours(scene, world, centres[plain])
    fine = pixels[~plain][:, None] + _SUBPIXELS / resolution
    samples = _colours(scene, world, _trace(scene, world, camera, fine.reshape(-1, 2)))
    colours[~plain] = samples.reshape(-1, len(_SUBPIXELS), 3).mean(axis=1)
    shape = (resolution, resolution)
    return View(
        rgb=np.round(255.0 * colours).astype(np.uint8).reshape(*shape, 3),
        z_depth=z.reshape(shape).astype(np.float32),
        mask=mask.reshape(shape).astype(np.uint8),
    )


def _plain(surface: np.ndarray) -> np.ndarray:
    """Pixels (H, W) amid one ground, wall or sky: smooth enough for a single sample."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(surface, 1, mode="edge"), (3, 3))
    return (surface < 0) & (around.min(axis=(2, 3)) == around.max(axis=(2, 3)))


def _trace(scene: Scene, world: World, camera: Camera, pixels: np.ndarray) -> _Traced:
    """Follow the rays through pixels (R, 2), x and y in [0, 1]."""
    pose = camera.cam2world.double().numpy()
    k = camera.intrinsics.double().numpy()
    local = np.ones((len(pixels), 3))
    local[:, :2] = (pixels - k[:2, 2]) / k[(0, 1), (0, 1)]
    local /= np.sqrt((local**2).sum(axis=1, keepdims=True))
    # einsum, not BLAS, whose last bits can follow its number of threads.
    directions = np.einsum("rj,ij->ri", local, pose[:3, :3])
    surface, t = meet_stage(scene.background, pose[:3, 3], directions)
    trace_rays(world, pose[:3, 3], directions, surface, t)
    return _Traced(pose[:3, 3], directions, surface, t)


def _colours(scene: Scene, world: World, rays: _Traced) -> np.ndarray:
    """Display colours (R, 3) in [0, 1] of the rays."""
    points = rays.origin + rays.directions * rays.t[:, None]
    local, normals = np.zeros_like(points), np.zeros_like(points)
    lit, openness = np.ones_like(rays.t), np.ones_like(rays.t)
    light_hits(world, points, rays.surface, local, normals, lit, openness)
    hits = Hits(rays.surface, rays.t, rays.directions, points, local, normals, lit, openness)
    return to_display(shade(scene, hits))


def _world(scene: Scene) -> World:
    """Flatten a scene for the kernels; objects first, then occluders."""
    primitives = scene.objects + scene.occluders
    centre = np.array([p.centre for p in primitives], np.float64)
    radius = np.array([bounding_radius(p) for p in primitives], np.float64)
    middle = centre.mean(axis=0)
    reach = np.max(np.linalg.norm(centre - middle, axis=1) + radius)
    return World(
        kind=np.array([p.kind for p in primitives], np.int64),
        params=np.array([p.params for p in primitives], np.float64),
        centre=centre,
        rotation=np.array([p.rotation for p in primitives], np.float64),
        sphere=np.concatenate([centre, radius[:, None]], axis=1),
        around=np.array(((*middle, reach),), np.float64),
        light=np.array((*scene.light.direction, scene.light.sharpness), np.float64),
        ground=scene.background.ground_height,
    )
