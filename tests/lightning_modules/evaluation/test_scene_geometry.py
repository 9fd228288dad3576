import math

import torch

from lightning_modules.evaluation.scene_geometry import scene_geometry
from models.scenes import Scenes
from models.spaces import BoxSpace
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling


def wall(planes: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Solid behind the plane z = 0."""
    return 1e4 * (points[..., 2] < 0).float(), torch.zeros_like(points)


def test_disparity_is_counted_between_the_ends_of_each_images_rays() -> None:
    yaw = torch.tensor([0.0, math.pi / 4])
    camera = orbit_camera(yaw, torch.zeros(2), 3.0, 1.0)  # nearly parallel rays
    space = BoxSpace(0.5, None)
    scenes = Scenes(torch.zeros(2, 3, 1, 2, 2), wall, space, RaySampling(8, 0), camera)
    found = scene_geometry(scenes, camera, scenes.view(camera, 4, 4))
    half = torch.tensor([0.5, 0.5 * math.sqrt(2)])  # of the box along the rays
    torch.testing.assert_close(found.low, 1 / (3 + half), rtol=0.01, atol=0)
    torch.testing.assert_close(found.high, 1 / (3 - half), rtol=0.01, atol=0)
    alone = scene_geometry(scenes[:1], camera[:1], scenes[:1].view(camera[:1], 4, 4))
    torch.testing.assert_close(alone.low, found.low[:1])
    assert found.opacity is not None
    torch.testing.assert_close(found.opacity, torch.ones(2, 4, 4))
