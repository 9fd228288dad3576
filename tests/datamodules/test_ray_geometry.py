import numpy as np
import pytest
import torch

from datamodules.rays import PinholeCamera, RayGrid, pinhole_rays, resample, unit
from renderers.cameras import Camera
from renderers.rays import camera_rays

RNG = np.random.default_rng(0)


def random_vectors(height: int, width: int) -> np.ndarray:
    return RNG.standard_normal((height, width, 3)).astype(np.float32)


def test_pixels_with_nodes_of_their_own_are_the_nodes():
    nodes = random_vectors(5, 7)
    found = resample(nodes, (5, 7), np.array([0, 2, 4]), np.array([6, 1]))
    assert (found == nodes[[0, 2, 4]][:, [6, 1]]).all()


@pytest.mark.parametrize("nodes", [(2, 2), (4, 3), (9, 17)])
def test_what_is_linear_in_the_pixels_comes_back_from_any_grid(nodes):
    height, width = 9, 17

    def plane(rows, columns):
        return np.stack(np.broadcast_arrays(rows[:, None], columns, 1 + rows[:, None]), axis=-1)

    grid = plane(np.linspace(0, height - 1, nodes[0]), np.linspace(0, width - 1, nodes[1]))
    rows, columns = np.array([0, 3.25, 8]), np.array([0.5, 16])
    found = resample(grid.astype(np.float32), (height, width), rows, columns)
    assert np.allclose(found, plane(rows, columns), atol=1e-5)


def test_one_node_is_a_constant_and_directions_have_length_1():
    origins, directions = np.full((1, 1, 3), 7, np.float32), unit(random_vectors(2, 3))
    rays = RayGrid(origins, directions, (4, 6)).at(np.arange(4), np.arange(6))
    assert (rays.origins == 7).all()
    assert rays.origins.shape == rays.directions.shape == (4, 6, 3)
    assert np.allclose(np.linalg.norm(rays.directions, axis=-1), 1, atol=1e-6)


def test_between_opposed_directions_there_is_none():
    directions = np.array([[[1, 0, 0], [-1, 0, 0]]], np.float32)
    rays = RayGrid(np.zeros((1, 1, 3), np.float32), directions, (1, 3))
    with pytest.raises(ValueError, match="neighbours of opposed directions"):
        rays.at(np.array([0]), np.array([1]))


@pytest.mark.parametrize("focal", [0.0, np.nan])
def test_a_camera_without_focal_length_has_no_rays(focal):
    matrix = np.diag(np.array([focal, 1, 1], np.float32))
    with pytest.raises(ValueError, match="its camera has rays that are not finite"):
        pinhole_rays(PinholeCamera(np.eye(4, dtype=np.float32), matrix), 2)


def test_rays_of_a_camera_are_those_of_the_renderer():
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
    pose[:3, 3] = 1, 2, 3
    matrix = np.array([[1.2, 0.1, 0.4], [0, 1.5, 0.6], [0, 0, 1]], np.float32)
    rays = pinhole_rays(PinholeCamera(pose, matrix), 6)
    camera = Camera(torch.from_numpy(pose)[None], torch.from_numpy(matrix)[None])
    expected = camera_rays(camera, 6, 6)
    assert np.allclose(rays.origins.reshape(36, 3), expected.origins[0])
    assert np.allclose(rays.directions.reshape(36, 3), expected.directions[0], atol=1e-6)
    assert rays.directions.dtype == np.float32
