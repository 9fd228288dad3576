import numpy as np
import pytest
from waymo_files import crop_row, refined_pose

from datamodules.build.waymo.crop import Square
from datamodules.build.waymo.ray_frames import TO_WORLD, BoxRays, refined_from_box, resized_rays
from datamodules.build.waymo.tables import RowError

ROW = crop_row(0, 24, 24)
SQUARE = Square(24, 24, 24)


def test_the_front_stays_and_up_is_y() -> None:
    front, left, up = np.eye(3)
    assert (TO_WORLD @ front).tolist() == [1, 0, 0]
    assert (TO_WORLD @ up).tolist() == [0, 1, 0]
    assert (TO_WORLD @ left).tolist() == [0, 0, -1]
    assert np.linalg.det(TO_WORLD) == pytest.approx(1)


def test_rays_come_in_these_axes() -> None:
    rays = resized_rays(SQUARE, ROW.origins, ROW.directions)
    assert np.allclose(rays.origins, ROW.origins @ TO_WORLD.T, atol=1e-5)
    assert np.allclose(rays.directions, ROW.directions @ TO_WORLD.T, atol=1e-6)


def test_refined_rays_see_the_same_points_of_the_street() -> None:
    rays = resized_rays(SQUARE, ROW.origins, ROW.directions)
    moved = rays.moved(refined_from_box(refined_pose(ROW), np.array(ROW.center), ROW.heading))
    points = ROW.origins + 7 * ROW.directions
    cosine, sine = np.cos(ROW.heading), np.sin(ROW.heading)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    street = points @ turn.T + ROW.center
    pose = refined_pose(ROW)
    expected = (street @ pose[:3, :3].T + pose[:3, 3]) @ TO_WORLD.T
    assert np.allclose(moved.origins + 7 * moved.directions, expected, atol=1e-4)
    assert not np.allclose(moved.directions, rays.directions, atol=1e-2)


@pytest.mark.parametrize(
    "change",
    [
        lambda pose: pose * 2,
        lambda pose: np.diag([1.0, 1, -1, 1]) @ pose,
        lambda pose: np.full((4, 4), np.nan),
        lambda pose: pose + np.eye(4)[:, 3:],
    ],
)
def test_a_refined_pose_that_bends_space_is_refused(change) -> None:
    with pytest.raises(RowError, match="its refined pose is no rigid motion"):
        refined_from_box(change(refined_pose(ROW)), np.array(ROW.center), ROW.heading)


def test_a_refined_pose_that_is_nearly_rigid_keeps_lengths() -> None:
    pose = refined_pose(ROW)
    pose[:3, :3] = np.linalg.cholesky(np.eye(3) + 9.9e-4) @ pose[:3, :3]
    found = refined_from_box(pose, np.array(ROW.center), ROW.heading)
    assert np.allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)
    exact = refined_from_box(refined_pose(ROW), np.array(ROW.center), ROW.heading)
    assert np.allclose(found[:3, :3], exact[:3, :3], atol=2e-3)


def test_a_box_without_heading_has_no_refined_frame() -> None:
    with pytest.raises(RowError, match="no rigid motion"):
        refined_from_box(refined_pose(ROW), np.array(ROW.center), np.nan)


def changed(vectors: np.ndarray, value: float) -> np.ndarray:
    found = vectors.copy()
    found[3:9, 2:11] *= value
    return found


@pytest.mark.parametrize(
    ("origins", "directions", "reason"),
    [
        (changed(ROW.origins, np.nan), ROW.directions, "its rays are not finite"),
        (changed(ROW.origins, np.inf), ROW.directions, "its rays are not finite"),
        (ROW.origins, changed(ROW.directions, np.nan), "not of length 1"),
        (ROW.origins, changed(ROW.directions, 2), r"not of length 1 \(1 to 2\)"),
        (ROW.origins, changed(ROW.directions, 0), "not of length 1"),
        (ROW.origins, changed(ROW.directions, -1), "a right angle apart"),
    ],
)
def test_rays_that_are_none_are_refused(origins, directions, reason) -> None:
    with pytest.raises(RowError, match=reason):
        resized_rays(SQUARE, origins, directions)


def test_moving_keeps_directions_and_moves_origins() -> None:
    rays = BoxRays(np.zeros((1, 1, 3), np.float32), np.array([[[0, 1, 0]]], np.float32))
    motion = np.array([[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
    moved = rays.moved(motion)
    assert moved.origins.tolist() == [[[5, 6, 7]]]
    assert moved.directions.tolist() == [[[-1, 0, 0]]]
