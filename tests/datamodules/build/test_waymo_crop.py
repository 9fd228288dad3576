"""Crops resized to squares: everything in them stays where the rays say it is."""

import numpy as np
import pytest
from PIL import Image
from waymo_files import pinhole_rays

from datamodules.build.waymo.crop import Square
from datamodules.build.waymo.encoder import metric_disparity

SIZES = [(40, 56, 32), (57, 40, 64), (31, 31, 16), (20, 33, 33), (64, 64, 64), (3, 9, 9)]
FOCAL, DISTANCE = 90.0, 12.0


@pytest.mark.parametrize(("height", "width", "resolution"), SIZES)
def test_rays_are_those_of_the_camera_in_the_crop_and_beyond_it(height, width, resolution) -> None:
    square = Square(height, width, resolution)
    origins, directions = (
        v.astype(np.float32) for v in pinhole_rays(height, width, DISTANCE, FOCAL)
    )
    places = {"rows": square.rows, "columns": square.columns}
    expected = pinhole_rays(height, width, DISTANCE, FOCAL, **places)[1]
    found = square.directions(directions)
    error = np.linalg.norm(found - expected, axis=-1) * DISTANCE
    assert error[square.inside].max() < 1e-4
    assert error.max() < 1e-2  # the rays beyond the edge are no measurement
    assert np.abs(square.origins(np.ascontiguousarray(origins)) - origins[0, 0]).max() < 1e-5
    assert np.abs(np.linalg.norm(found, axis=-1) - 1).max() < 1e-6


@pytest.mark.parametrize(("height", "width", "resolution"), SIZES)
def test_colours_and_codes_lie_where_the_rays_of_their_pixels_go(height, width, resolution) -> None:
    square = Square(height, width, resolution)
    rows, columns = np.mgrid[:height, :width]
    gradient = np.stack([rows * 4, columns * 4, 0 * rows], -1).astype(np.uint8)
    image = square.image(Image.fromarray(gradient)).astype(float)
    places = np.broadcast_arrays(square.rows[:, None], square.columns)
    # Away from the edges, whose colours go on beyond.
    middle = square.inside & (places[0] > 3) & (places[0] < height - 4)
    middle &= (places[1] > 3) & (places[1] < width - 4)
    for channel, place in enumerate(places):
        assert np.abs(image[..., channel] / 4 - place)[middle].max(initial=0) < 0.5
        nearest = square.nearest(gradient[..., channel]) / 4.0
        assert np.abs(nearest - place)[square.inside].max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("height", "width", "resolution"), SIZES)
def test_the_inside_is_what_the_crop_covers(height, width, resolution) -> None:
    inside = Square(height, width, resolution).inside
    share = height * width / max(height, width) ** 2
    assert abs(inside.mean() - share) <= 1 / resolution
    assert inside.any()


@pytest.mark.parametrize(("height", "width", "resolution"), SIZES)
def test_a_lidar_return_goes_to_the_pixel_round_its_own(height, width, resolution) -> None:
    square = Square(height, width, resolution)
    for row, column in ((1, 1), (height // 2, width // 3), (height - 2, width - 2)):
        distances = np.zeros((height, width), np.float32)
        distances[row, column] = 7
        (i,), (j,) = np.nonzero(square.scattered(distances))
        half = square.side / resolution / 2 + 1e-9
        assert abs(square.rows[i] - row) <= half
        assert abs(square.columns[j] - column) <= half


def test_of_several_lidar_returns_the_nearest_stays() -> None:
    distances = np.array([[9, 0, 8], [4, 5, 0], [0, 0, 0]], np.float32)
    assert Square(3, 3, 1).scattered(distances) == [[4]]


@pytest.mark.parametrize(("height", "width"), [(100, 80), (70, 43), (52, 31)])
def test_nothing_is_measured_beside_the_crop(height: int, width: int) -> None:
    square = Square(height, width, 26)
    found = square.scattered(np.ones((height, width), np.float32))
    assert (found[square.inside] == 1).all()
    assert (found[~square.inside] == 0).all()
    assert not square.inside.all()


def test_disparity_gives_metres_back() -> None:
    distances = np.array([[0, 5.5], [80, 12.25]], np.float32)
    codes, step = metric_disparity(distances)
    assert step is not None
    assert codes[0].tolist() == [0, 65535]
    assert np.allclose(1 / (codes[codes > 0] * step), [5.5, 80, 12.25], rtol=2e-4)
    assert metric_disparity(np.zeros((2, 2), np.float32))[1] is None


def test_rays_all_round_are_refused() -> None:
    directions = np.zeros((4, 4, 3), np.float32)
    directions[..., 0] = 1
    directions[0] *= -1
    with pytest.raises(ValueError, match="a right angle apart"):
        Square(4, 4, 8).directions(directions)
