import math

import pytest
import torch

from renderers.cameras import (
    Camera,
    cap_angles,
    distance_to_z,
    focal_to_fov,
    fov_to_focal,
    from_opengl,
    from_pixel_intrinsics,
    intrinsics_from_fov,
    look_at,
    orbit_camera,
    project,
    sphere_angles,
    to_opengl,
    to_pixel_intrinsics,
    uniform_pairs,
    z_to_distance,
)
from renderers.rays import camera_rays


def test_the_canonical_camera_is_on_plus_z_and_upright():
    pose = orbit_camera(0.0, 0.0, 2.0, 30.0).cam2world
    expected = torch.tensor([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1.0]])
    torch.testing.assert_close(pose, expected)


def test_positive_yaw_moves_to_plus_x_and_positive_pitch_to_plus_y():
    right = orbit_camera(math.pi / 2, 0.0, 2.0, 30.0)
    above = orbit_camera(0.0, math.pi / 2, 2.0, 30.0)
    torch.testing.assert_close(right.position, torch.tensor([2.0, 0, 0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(above.position, torch.tensor([0, 2.0, 0]), atol=1e-6, rtol=0)
    assert above.cam2world.isfinite().all()


def test_orbit_camera_broadcasts_and_agrees_with_look_at():
    yaw = torch.linspace(-3, 3, 7)
    target = torch.tensor([0.1, -0.2, 0.3])
    camera = orbit_camera(yaw, 0.4, 1.5, 40.0, target)
    assert camera.intrinsics.shape == (7, 3, 3)
    torch.testing.assert_close(camera.cam2world[:, :3, 3], camera.position)
    again = look_at(camera.position, target)
    torch.testing.assert_close(again, camera.cam2world, atol=1e-5, rtol=0)
    rotation = camera.cam2world[:, :3, :3]
    torch.testing.assert_close(rotation.det(), torch.ones(7))


def test_look_at_straight_down_is_a_rotation():
    rotation = look_at(torch.tensor([0.0, 3.0, 0.0]))[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3))
    torch.testing.assert_close(rotation[:, 2], torch.tensor([0.0, -1.0, 0.0]))


def test_an_upper_point_projects_to_the_upper_half_and_a_right_point_to_the_right():
    camera = orbit_camera(torch.zeros(1), 0.0, 2.0, 60.0)
    pixels, z = project(torch.tensor([[[0.0, 0.3, 0.0], [0.3, 0.0, 0.0]]]), camera)
    assert pixels[0, 0, 1] < 0.5 < pixels[0, 1, 0]
    torch.testing.assert_close(z, torch.full((1, 2), 2.0))


def test_field_of_view_is_the_angle_between_the_outer_borders():
    # At 90 degrees the border of the image is one focal length from the centre: 0.5 image widths.
    assert fov_to_focal(90.0).item() == pytest.approx(0.5)
    assert focal_to_fov(fov_to_focal(33.0)).item() == pytest.approx(33.0)
    matrix = intrinsics_from_fov(50.0, aspect=2.0)
    assert matrix[1, 1] == 2 * matrix[0, 0]


def test_pixel_intrinsics_round_trip_and_mind_the_pixel_centre():
    matrix = torch.tensor([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]])
    normalised = from_pixel_intrinsics(matrix, 480, 640, pixel_centre=0.0)
    torch.testing.assert_close(normalised[:2, 2], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(to_pixel_intrinsics(normalised, 480, 640, 0.0), matrix)


def test_opengl_looks_along_minus_z():
    ours = orbit_camera(0.3, 0.2, 2.0, 30.0)
    theirs = to_opengl(ours.cam2world)
    torch.testing.assert_close(-theirs[:3, 2], ours.forward)
    torch.testing.assert_close(from_opengl(theirs), ours.cam2world)


def test_distance_and_z_depth_are_inverse_and_z_is_the_projected_one():
    camera = orbit_camera(torch.tensor([0.5]), 0.2, 2.0, 60.0)
    rays = camera_rays(camera, 5, 5)
    distance = torch.rand(1, 25, generator=torch.Generator().manual_seed(0)) + 1.0
    z = distance_to_z(distance, rays.directions, camera)
    _, expected = project(rays.at(distance.unsqueeze(-1)).squeeze(2), camera)
    torch.testing.assert_close(z, expected)
    torch.testing.assert_close(z_to_distance(z, rays.directions, camera), distance)


def test_sphere_angles_cover_the_sphere_uniformly():
    yaw, pitch = sphere_angles(uniform_pairs(20_000, torch.Generator().manual_seed(0)))
    position = orbit_camera(yaw, pitch, 1.0, 30.0).position
    # Archimedes: every coordinate of a uniform point on the sphere is uniform in [-1, 1].
    assert position.mean(0).abs().max() < 0.02
    torch.testing.assert_close(
        position.square().mean(0), torch.full((3,), 1 / 3), atol=0.01, rtol=0
    )
    assert (position.abs() < 0.5).float().mean(0).sub(0.5).abs().max() < 0.02


def test_cap_angles_stay_within_their_extents():
    corners = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    yaw, pitch = cap_angles(corners, 0.4, 0.1)
    torch.testing.assert_close(yaw, torch.tensor([-0.4, 0.4, 0.0]))
    torch.testing.assert_close(pitch, torch.tensor([-0.1, 0.1, 0.0]))


def test_camera_rejects_wrong_shapes():
    with pytest.raises(ValueError, match="intrinsics"):
        Camera(torch.eye(4).expand(2, 4, 4), torch.eye(3))
