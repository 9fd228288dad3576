import numpy as np
import pytest

from datamodules.build.disparity import scaled_disparity, stretched_disparity, to_disparity

BAD = [np.nan, np.inf, -np.inf, 0.0, -1.0]


def test_disparity_is_inverse_depth_with_the_nearest_at_65535():
    depth = np.array([[0, 1000], [2000, 4000]])
    assert to_disparity(depth) == pytest.approx(np.array([[0, 65535], [32768, 16384]]), rel=0.002)


def test_one_pixel_far_too_near_does_not_set_the_scale():
    depth = np.full((64, 64), 2000)
    depth[0, 0] = 1
    disparity = to_disparity(depth)
    assert disparity[1, 1] == 65535
    assert disparity.max() == 65535


def test_known_pixels_never_become_unknown():
    disparity = to_disparity(np.array([[1, 1, 0, 10_000_000]]))
    assert disparity[0, 2] == 0
    assert disparity[0, 3] == 1
    assert to_disparity(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_what_is_no_depth_is_unknown(kind):
    depth = np.array([[*BAD, 2.0, 4.0]], kind)
    assert to_disparity(depth) == pytest.approx(np.array([[0, 0, 0, 0, 0, 65535, 32768]]), abs=100)
    assert scaled_disparity(depth)[0].tolist()[:5] == [0] * 5


def test_disparities_keep_their_proportions():
    assert scaled_disparity(np.array([[1.0, 0.25, 0.5]])) == pytest.approx(
        np.array([[65535, 16384, 32768]]), abs=100
    )


def test_relative_disparity_is_stretched_whatever_its_sign():
    values = np.array([[-3.0, 1.0, np.nan, -1.0]], np.float32)
    assert stretched_disparity(values).tolist() == [[1, 65535, 0, 32768]]


@pytest.mark.parametrize(
    ("values", "reason"),
    [(np.full((2, 2), np.nan), "nowhere finite"), (np.full((2, 2), 3.0), "is 3 everywhere")],
)
def test_relative_disparity_that_says_nothing_is_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        stretched_disparity(values)
