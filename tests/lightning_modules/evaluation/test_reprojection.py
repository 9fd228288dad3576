import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lightning_modules.evaluation.reprojection import Reprojection, reprojection
from models.scenes import Scenes, View, axis_cosine
from models.spaces import BoxSpace
from renderers.cameras import Camera, orbit_camera
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays, camera_rays

Shape = Callable[[Rays], Tensor]
"""Distances (B, R) to a surface along rays, infinite where they miss it."""


def colour(points: Tensor) -> Tensor:
    """Smooth in space, (..., 3) in [0, 1]."""
    return 0.5 + 0.4 * torch.sin(points @ torch.tensor([[4.0, 1, 2], [-2, 5, 1], [1, 2, -4]]))


def sphere(rays: Rays, radius: float = 0.7, middle: tuple[float, float, float] = (0, 0, 0)):
    origins = rays.origins - torch.tensor(middle)
    along = (origins * rays.directions).sum(-1)
    root = along.square() - origins.square().sum(-1) + radius**2
    return torch.where(root > 0, -along - root.clamp(min=0).sqrt(), torch.inf)


def plane(rays: Rays) -> Tensor:
    """Tilted about the vertical axis and away from it; fills every view."""
    normal = torch.tensor([0.3, 0.4, 0.866])
    return -(rays.origins @ normal) / (rays.directions @ normal)


def picture(shape: Shape, camera: Camera, side: int) -> View:
    """What a camera sees of a surface, exactly."""
    rays = camera_rays(camera, side, side)
    distance = shape(rays)
    hit = distance.isfinite()
    points = rays.at(torch.where(hit, distance, 1.0)[..., None])[:, :, 0]
    rgb = torch.where(hit[..., None], colour(points), 1.0).transpose(1, 2)
    size = (len(hit), side, side)
    disparity = 1 / (distance * axis_cosine(rays, camera)).reshape(size)
    ends = torch.tensor([[0.1, 1.0]]).expand(len(hit), 2)
    return View(rgb.reshape(-1, 3, side, side), disparity, hit.float().reshape(size), ends)


def cameras(degrees: float) -> tuple[Camera, Camera]:
    """Two cameras with this angle between them."""
    yaw = torch.tensor([0.0, math.radians(degrees)])
    camera = orbit_camera(yaw, torch.tensor([0.1, 0.1]), 2.5, 40.0)
    return camera[:1], camera[1:]


def agreement(shape: Shape, degrees: float, side: int = 64) -> Reprojection:
    first, second = cameras(degrees)
    return reprojection(picture(shape, first, side), first, picture(shape, second, side), second)


@pytest.mark.parametrize("shape", [sphere, plane])
def test_a_solid_thing_agrees_with_itself_the_better_the_finer_the_images(shape: Shape) -> None:
    coarse, fine = (agreement(shape, 10, side) for side in (32, 64))
    assert coarse.colour < 2e-3
    assert fine.colour < coarse.colour / 2
    assert coarse.depth < 5e-4
    assert fine.covisible > 0.85
    assert fine.colour.dtype == torch.float64


@pytest.mark.parametrize("shift", [(0.5, 0), (0, 0.5), (-0.5, 0), (0, -0.5)])
def test_half_a_pixel_is_more_than_the_whole_error(shift: tuple[float, float]) -> None:
    first, second = cameras(10)
    moved = second.intrinsics.clone()
    moved[:, :2, 2] += torch.tensor(shift) / 64
    views = picture(sphere, first, 64), picture(sphere, second, 64)
    exact = reprojection(views[0], first, views[1], second).colour
    displaced = reprojection(views[0], first, views[1], Camera(second.cam2world, moved)).colour
    assert displaced > 10 * exact


def test_the_depth_of_a_plane_is_exact() -> None:
    assert agreement(plane, 10, 32).depth < 1e-6


def test_silhouettes_and_jumps_are_not_looked_across() -> None:
    camera = orbit_camera(torch.zeros(1), 0.0, 2.0, 40.0)
    moved = camera.intrinsics.clone()
    moved[:, 0, 2] += 0.4 / 32  # every pixel lands between two columns, nearer to its own
    column = torch.arange(32).expand(1, 4, 32)
    depth = torch.where(column < 30, 2.0, 2.2)
    rgb = (column >= 30).float().expand(3, 4, 32)[None]
    opacity = (column >= 2).float()
    ends = torch.tensor([[0.1, 1.0]])
    first = View(0 * rgb, torch.full((1, 4, 32), 0.5), torch.ones(1, 4, 32), ends)
    second = View(rgb, 1 / depth, opacity, ends)
    found = reprojection(first, camera, second, Camera(camera.cam2world, moved))
    assert found.covisible == 27 / 32  # columns 2 to 28; 29 is half way to what is behind
    assert found.colour == 0
    assert float(found.depth) == pytest.approx(0, abs=1e-6)  # of most columns


def test_a_view_agrees_with_itself() -> None:
    camera, _ = cameras(0)
    view = picture(plane, camera, 16)
    found = reprojection(view, camera, view, camera)
    assert found.covisible == 1
    assert float(found.colour) == pytest.approx(0, abs=1e-5)
    assert float(found.depth) == pytest.approx(0, abs=1e-5)


def test_images_of_other_sizes_show_the_same() -> None:
    first, second = cameras(10)
    rays = camera_rays(second, 48, 96)
    wide = (plane(rays) * axis_cosine(rays, second)).reshape(1, 48, 96)
    points = rays.at(plane(rays)[..., None])[:, :, 0]
    rgb = colour(points).transpose(1, 2).reshape(1, 3, 48, 96)
    view = View(rgb, 1 / wide, torch.ones_like(wide), torch.tensor([[0.1, 1.0]]))
    found = reprojection(picture(plane, first, 64), first, view, second)
    assert found.colour < 2e-3
    assert found.depth < 1e-5


def test_a_change_of_brightness_is_the_colour_error() -> None:
    first, second = cameras(10)
    view = picture(sphere, second, 64)
    brighter = replace(view, rgb=view.rgb + 0.1)
    found = reprojection(picture(sphere, first, 64), first, brighter, second)
    assert float(found.colour) == pytest.approx(0.1, abs=1e-3)
    assert found.depth < 5e-4


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_a_change_of_scale_is_the_depth_error(factor: float) -> None:
    first, second = cameras(10)
    view = picture(sphere, second, 64)
    scaled = replace(view, disparity=view.disparity / factor)
    found = reprojection(picture(sphere, first, 64), first, scaled, second)
    assert float(found.depth) == pytest.approx(0.02, abs=5e-4)
    assert found.covisible > 0.85


def test_geometry_that_is_far_off_is_told_and_not_covisible() -> None:
    first, second = cameras(10)
    view = picture(sphere, second, 64)
    scaled = replace(view, disparity=view.disparity / 1.3)
    found = reprojection(picture(sphere, first, 64), first, scaled, second)
    assert float(found.depth) == pytest.approx(0.3, abs=5e-3)
    assert found.covisible == 0
    assert found.colour.isnan().all()


def test_a_picture_turned_to_every_camera_is_caught() -> None:
    first, second = cameras(30)
    standing = picture(sphere, first, 64)
    flat = replace(standing, disparity=torch.full_like(standing.disparity, 1 / 2.5))
    billboard = reprojection(flat, first, flat, second)
    solid = agreement(sphere, 30)
    assert billboard.depth > 20 * solid.depth
    assert billboard.depth > 0.03
    assert billboard.covisible < 0.8 * solid.covisible


def test_what_is_hidden_is_no_disagreement() -> None:
    def ball_before_wall(rays: Rays) -> Tensor:
        return torch.minimum(sphere(rays, 0.3, (0, 0, 1.0)), plane(rays))

    found, wall = agreement(ball_before_wall, 15), agreement(plane, 15)
    assert found.covisible < wall.covisible - 0.05  # some of the wall is hidden in one view only
    assert found.depth < 1e-4
    assert found.colour < 2e-3


def test_nothing_is_shared_where_one_view_is_empty_and_each_scene_has_its_own_figures() -> None:
    first, second = cameras(10)
    here, there = (picture(sphere, camera, 32) for camera in (first, second))
    views = []
    for view, shown in ((here, (1, 0, 1)), (there, (1, 1, 0))):
        parts = (part.expand(3, *part.shape[1:]) for part in (view.rgb, view.disparity))
        opacity = view.opacity * torch.tensor(shown)[:, None, None]
        views.append(View(*parts, opacity, view.disparity_range.expand(3, 2)))
    found = reprojection(views[0], first, views[1], second)
    alone = reprojection(here, first, there, second)
    assert found.colour[:1] == alone.colour
    assert found.colour[1:].isnan().all()
    assert found.depth[1:].isnan().all()
    assert found.covisible[1].isnan()
    assert found.covisible[2] == 0


def ball(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    return 1e4 * (points.norm(dim=-1) < 0.7).float(), colour(points)


def test_rendered_scenes_agree() -> None:
    first, second = cameras(10)
    scenes = Scenes(
        torch.zeros(1, 3, 1, 2, 2), ball, BoxSpace(1.0), RaySampling(64, 64, "distance"), first
    )
    views = [scenes.view(camera, 32, 32) for camera in (first, second)]
    found = reprojection(views[0], first, views[1], second)
    assert found.colour < 5e-3
    assert found.depth < 1e-3
    assert found.covisible > 0.7
