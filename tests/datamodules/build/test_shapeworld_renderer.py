import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.build.shapeworld import CLASSES, View, render, scene_camera, scene_for
from datamodules.build.shapeworld.kernels import local_distance
from datamodules.build.shapeworld.scene import Kind, Material, Primitive, Scene, Wall
from datamodules.build.shapeworld.shapes import ball, bounding_radius, box, half_extents
from datamodules.build.shapeworld.surroundings import draw_light
from renderers.cameras import Camera, orbit_camera, project
from renderers.rays import camera_rays

GREY = Material((0.5, 0.5, 0.5))
PARAMS = {
    Kind.ELLIPSOID: (0.5, 0.3, 0.4, 0.0),
    Kind.BOX: (0.5, 0.3, 0.4, 0.1),
    Kind.CONE: (0.5, 0.4, 0.1, 0.02),
    Kind.CAPSULE: (0.4, 0.2, 0.0, 0.0),
    Kind.TORUS: (0.4, 0.1, 0.0, 0.0),
    Kind.TUBE: (0.4, 0.5, 0.1, 0.0),
    Kind.WEDGE: (0.5, 0.3, 0.4, 0.0),
}


def open_scene(*objects: Primitive, occluders: tuple[Primitive, ...] = ()) -> Scene:
    scene = scene_for(0, "train", 0)
    background = replace(scene.background, kind=Wall.NONE, ground_height=-0.5)
    return replace(scene, objects=objects, occluders=occluders, background=background)


def rays(camera: Camera, size: int) -> tuple[np.ndarray, np.ndarray]:
    found = camera_rays(Camera(camera.cam2world[None], camera.intrinsics[None]), size, size)
    return found.origins[0].double().numpy(), found.directions[0].double().numpy()


def world_points(view: View, camera: Camera) -> np.ndarray:
    """World points (R, 3) of all pixels, inf for the sky."""
    origins, directions = rays(camera, view.mask.shape[0])
    forward = camera.cam2world[:3, 2].double().numpy()
    t = view.z_depth.reshape(-1).astype(np.float64) / (directions @ forward)
    return origins + t[:, None] * directions


def test_depth_of_a_sphere_on_the_ground_is_the_closed_form() -> None:
    camera = orbit_camera(0.7, 0.3, 2.5, 40.0)
    view = render(open_scene(ball((0.1, 0.0, -0.2), 0.5, GREY)), camera, 64)
    origins, directions = rays(camera, 64)
    forward = camera.cam2world[:3, 2].double().numpy()
    offset = origins - np.array([0.1, 0.0, -0.2])
    along = (offset * directions).sum(1)
    gap = along**2 - (offset**2).sum(1) + 0.25
    sphere = np.where(gap > 0, -along - np.sqrt(np.maximum(gap, 0)), np.inf)
    falling = directions[:, 1] < 0
    ground = np.where(
        falling, (-0.5 - origins[:, 1]) / np.where(falling, directions[:, 1], 1), np.inf
    )
    expected = np.minimum(sphere, ground) * (directions @ forward)
    firm = np.abs(gap) > 0.02  # rays that graze the sphere stop a little early
    depth = view.z_depth.reshape(-1)
    np.testing.assert_allclose(depth[firm], expected[firm], atol=1e-3, rtol=1e-4)
    np.testing.assert_array_equal((view.mask.reshape(-1) == 1)[firm], (sphere < ground)[firm])
    assert np.isinf(depth).any()


def test_depth_is_along_the_axis_so_a_facing_plane_has_one_depth() -> None:
    wall = box((-1.0, -0.6, -0.2), (1.0, 1.0, 0.5), GREY)
    view = render(open_scene(wall), orbit_camera(0.0, 0.0, 2.5, 40.0), 32)
    np.testing.assert_allclose(view.z_depth[:20], 2.0, atol=1e-3)


def test_mask_tells_object_occluder_and_background_apart() -> None:
    post = box((-0.05, -0.5, 1.0), (0.05, 1.0, 1.1), GREY)
    scene = open_scene(ball((0.0, 0.0, 0.0), 0.5, GREY), occluders=(post,))
    mask = render(scene, orbit_camera(0.0, 0.0, 2.5, 40.0), 32).mask
    assert (mask[16, 16], mask[16, 9], mask[2, 2]) == (2, 1, 0)
    behind = render(scene, orbit_camera(math.pi, 0.0, 2.5, 40.0), 32).mask
    assert behind[16, 16] == 1
    assert set(np.unique(mask)) == {0, 1, 2}


@pytest.mark.parametrize("kind", list(Kind))
def test_distance_never_exceeds_the_way_to_the_surface(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    params = PARAMS[kind]
    points = rng.uniform(-0.8, 0.8, (1500, 3))
    distances = np.array([local_distance(int(kind), params, *point) for point in points])
    inside, outside = points[distances < 0], points[distances > 0]
    assert len(inside) > 10
    nearest = np.linalg.norm(outside[:, None] - inside[None], axis=2).min(axis=1)
    assert (distances[distances > 0] <= 1.05 * nearest).all()
    primitive = Primitive(kind, params, (0.0, 0.0, 0.0), GREY)
    assert (np.abs(inside) <= half_extents(primitive) + 1e-9).all()
    assert (np.linalg.norm(inside, axis=1) <= bounding_radius(primitive)).all()


@pytest.mark.parametrize("index", range(len(CLASSES)))
def test_object_stays_in_its_box_on_the_ground_and_fills_the_frame(index: int) -> None:
    scene = replace(scene_for(2, "val", index), occluders=())
    camera = scene_camera(scene)
    view = render(scene, camera, 64)
    on_object = world_points(view, camera)[view.mask.reshape(-1) == 1]
    length, width, height = scene.size
    centre = np.array(scene.centre)
    excess = np.abs(on_object - centre) - 0.5 * np.array([length, height, width])
    assert excess.max() < 2e-3
    assert scene.background.ground_height == pytest.approx(scene.centre[1] - 0.5 * height)
    assert 1.1 <= max(scene.size) <= 1.35
    assert 0.05 < (view.mask == 1).mean() < 0.6
    pixel, _ = project(torch.tensor(centre[None], dtype=torch.float32), camera)
    rows, columns = np.nonzero(view.mask == 1)
    x, y = pixel[0].numpy() * 64
    assert columns.min() < x < columns.max()
    assert rows.min() < y < rows.max()


def test_two_views_of_a_scene_agree_on_its_geometry() -> None:
    for index in (0, 3):
        scene = scene_for(5, "train", index)
        first = scene_camera(scene)
        pose = scene.pose
        second = orbit_camera(pose.yaw + 0.3, pose.pitch, pose.radius, pose.fov_degrees)
        points = world_points(render(scene, first, 64), first)
        points = points[np.isfinite(points).all(1)]
        other = render(scene, second, 256)
        pixels, z = project(torch.tensor(points, dtype=torch.float32), second)
        inside = ((pixels > 0) & (pixels < 1)).all(-1).numpy() & (z > 0).numpy()
        column, row = (pixels.numpy()[inside] * 256).astype(int).T
        seen, expected = other.z_depth[row, column], z.numpy()[inside]
        near = np.abs(seen - expected) < 0.02 * expected
        hidden = seen < 0.98 * expected
        assert near.mean() > 0.8
        assert (near | hidden).mean() > 0.97


def test_resolutions_show_the_same_scene() -> None:
    scene = scene_for(1, "train", 3)
    small, large = (render(scene, scene_camera(scene), size) for size in (32, 128))
    blocks = large.rgb.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(blocks - small.rgb).mean() < 4.0


def test_day_is_brighter_than_dusk_and_dusk_than_night() -> None:
    scene = scene_for(1, "train", 1)
    means = []
    for time_of_day in ("day", "dawn_dusk", "night"):
        light = draw_light(np.random.default_rng(3), time_of_day, scene.pose.yaw)
        rgb = render(replace(scene, light=light), scene_camera(scene), 32).rgb
        means.append(rgb.mean())
    assert means[0] > 1.15 * means[1] > 1.3 * means[2]


def test_a_batched_camera_is_refused() -> None:
    camera = orbit_camera(torch.zeros(2), 0.0, 2.5, 40.0)
    with pytest.raises(ValueError, match="one camera"):
        render(scene_for(0, "train", 0), camera, 16)


def test_rays_that_graze_one_surface_before_another_leave_no_holes() -> None:
    for index in (5, 6, 17, 18, 29, 30):
        scene = replace(scene_for(1, "train", index), occluders=())
        mask = np.pad(render(scene, scene_camera(scene), 128).mask, 1)
        around = [np.roll(mask, shift, (0, 1)) for shift in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        assert not ((mask == 0) & (np.sum(around, axis=0) == 4)).any()
