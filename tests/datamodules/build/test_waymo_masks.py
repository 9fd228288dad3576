import numpy as np
import pytest

from datamodules.build.waymo.masks import (
    STUFF,
    THINGS,
    box_crossings,
    distances_of_object,
    mask_codes,
)

SIZE = np.array([4.0, 2.0, 2.0])
BACKGROUND, OBJECT, OCCLUDER, UNKNOWN = 0, 1, 2, 255


def code(semantic: int, own: bool = False, distance: float = 0.0, z: float = 0.0) -> int:
    """Code of one pixel, whose ray comes from x = -10 and enters the box at 8, leaves it at 12."""
    pixel = (1, 1)
    origins, directions = np.array([[[-10.0, 0.0, z]]]), np.array([[[1.0, 0.0, 0.0]]])
    found = mask_codes(
        np.full(pixel, semantic, np.uint8),
        np.full(pixel, own),
        np.full(pixel, distance),
        origins,
        directions,
        SIZE,
    )
    return int(found[0, 0])


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        *((label, OCCLUDER) for label in (2, 3, 9, 12, 14, 17, 18, 27)),
        *((label, BACKGROUND) for label in (19, 20, 24, 25, 26)),
        *((label, UNKNOWN) for label in (0, 1, 13, 28, 29, 255)),
    ],
)
def test_labels_tell_occluders_background_and_unknown(label: int, expected: int) -> None:
    assert code(label) == expected


def test_no_label_is_two_things() -> None:
    assert not set(THINGS) & set(STUFF)


@pytest.mark.parametrize(
    ("distance", "expected"), [(7.9, OCCLUDER), (8.1, UNKNOWN), (11.9, UNKNOWN), (12.1, BACKGROUND)]
)
def test_lidar_tells_what_is_before_and_behind_the_box(distance: float, expected: int) -> None:
    assert code(0, distance=distance) == expected


def test_lidar_has_precedence_over_labels_and_the_object_over_both() -> None:
    assert code(2, distance=30.0) == BACKGROUND
    assert code(2, distance=10.0) == UNKNOWN  # nothing is before what it met within the box
    assert code(20, distance=3.0) == OCCLUDER
    assert code(20, own=True, distance=3.0) == OBJECT
    assert code(0, own=True) == OBJECT


def test_where_the_ray_misses_the_box_things_hide_nothing_and_lidar_says_nothing() -> None:
    assert code(2, z=0.9) == OCCLUDER
    assert code(2, z=1.1) == BACKGROUND
    assert code(2, distance=3.0, z=5.0) == BACKGROUND
    assert code(0, distance=1.0, z=5.0) == UNKNOWN
    assert code(2, own=True, z=5.0) == OBJECT


@pytest.mark.parametrize(
    ("distance", "z", "kept"),
    [(7.9, 0, True), (12.1, 0, True), (7.7, 0, False), (12.3, 0, False), (10, 5, False)],
)
def test_returns_from_elsewhere_are_no_depth_of_the_object(distance, z, kept) -> None:
    origins, directions = np.array([[[-10.0, 0.0, z]]]), np.array([[[1.0, 0.0, 0.0]]])
    for own in (OBJECT, BACKGROUND):
        given, codes = np.full((1, 1), distance), np.full((1, 1), own, np.uint8)
        found = distances_of_object(given, codes, origins, directions, SIZE)
        assert found == (distance if kept or own == BACKGROUND else 0)


def test_crossings_are_those_of_points_along_the_ray() -> None:
    random = np.random.default_rng(0)
    origins = random.normal(0, 4, (400, 3))
    directions = random.normal(0, 1, (400, 3))
    directions[:100, 1] = 0  # along a side
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    steps = np.linspace(0, 25, 5001)
    points = origins[:, None] + steps[:, None] * directions[:, None]
    inside = (np.abs(points) <= SIZE / 2).all(-1)
    found = box_crossings(origins, directions, SIZE)
    for ray in range(400):
        if inside[ray].sum() > 1:
            assert found.hit[ray]
            along = steps[inside[ray]]
            assert abs(max(found.near[ray], 0) - along[0]) < 0.006
            assert abs(found.far[ray] - along[-1]) < 0.006
        elif found.hit[ray]:  # by less than a step
            assert found.far[ray] - max(found.near[ray], 0) < 0.011


def test_a_box_behind_the_ray_is_not_hit() -> None:
    found = box_crossings(np.array([[10.0, 0, 0]]), np.array([[1.0, 0, 0]]), SIZE)
    assert not found.hit[0]
