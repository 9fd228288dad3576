"""A folder of photographs of a box from known sides, each rendered by its closed form."""

import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.known_views import CONVENTION, DEPTH_UNIT
from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask
from renderers.bounds import box_bounds
from renderers.cameras import distance_to_z, orbit_camera, sphere_angles, uniform_pairs
from renderers.rays import camera_rays

SIDES = (0.3, 0.2, 0.6)
"""Of the box along x, y and z, of which +z is its front."""
SIDE = 64
PIXEL = 2 * 1.2 * np.tan(np.radians(49.13 / 2)) / SIDE
"""Width of a pixel at the distance of the box."""
NAMES = tuple(f"vehicle/box-a-{view:02d}" for view in range(16))


def write_box(folder: Path) -> Path:
    """Write 16 views of one object."""
    angles = sphere_angles(uniform_pairs(len(NAMES), torch.Generator().manual_seed(0)))
    camera = orbit_camera(*angles, 1.2, 49.13)
    rays = camera_rays(camera, SIDE, SIDE)
    bounds = box_bounds(rays, torch.tensor(SIDES) / 2)
    z = (distance_to_z(bounds.near, rays.directions, camera) * bounds.hit).view(-1, SIDE, SIDE)
    for name, depth in zip(NAMES, z.numpy(), strict=True):
        mask = (depth > 0).astype(np.uint8)
        image = np.where(mask[..., None], np.uint8([40, 90, 140]), np.uint8(255))
        for part, suffix, content in (
            ("images", "jpg", encode_jpeg(image)),
            ("masks", "png", encode_mask(mask)),
            ("depth", "png", encode_depth(np.rint(depth / DEPTH_UNIT).astype(np.uint16))),
        ):
            path = folder / part / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    poses = {
        name: pose.flatten().tolist() for name, pose in zip(NAMES, camera.cam2world, strict=True)
    }
    described = {"convention": CONVENTION, "fov_degrees": 49.13, "cam2world": poses}
    (folder / "cameras.json").write_text(json.dumps(described))
    return folder
