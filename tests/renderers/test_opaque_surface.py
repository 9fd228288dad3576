"""The surface of what is opaque has the silhouettes of its opacity."""

import math

import numpy as np
import pytest

from renderers.opaque_surface import OPAQUE, inner_depth


def test_an_even_box_is_deep_in_its_middle() -> None:
    depth = inner_depth(np.full((5, 9, 9), 3.0), (1.0, 2.0, 2.0))  # points are 0.5 apart
    assert depth[:, 4, 4] == pytest.approx(3 * 0.5 * np.array([0.5, 1.5, 2.5, 1.5, 0.5]))
    assert depth[2, :, 4] == pytest.approx(3 * 0.5 * np.array([0.5, 1.5, *[2.5] * 5, 1.5, 0.5]))


def test_negative_densities_count_as_none() -> None:
    grid = np.full((3, 3, 3), 2.0)
    grid[0] = -5
    assert (inner_depth(grid, (1.0, 1.0, 1.0))[0] == 0).all()


@pytest.mark.parametrize("share", [0.5, 0.65, 0.7, 1.0, 3.0])
def test_a_sheet_has_a_surface_if_it_is_nearly_opaque(share: float) -> None:
    """Seen through its thin side its optical depth is a share of ln 2."""
    grid = np.zeros((9, 33, 33))
    grid[4] = share * math.log(2) / 0.25  # a layer of points 0.25 apart
    depth = inner_depth(grid, (1.0, 100.0, 100.0))
    assert (depth[4, 16, 16] > OPAQUE) == (share > 2 / 3)
    assert not depth[3].any()


def test_silhouettes_of_blobs_are_those_of_their_opacity() -> None:
    """However dense they are: no one density gives the silhouettes of all."""
    rng, line = np.random.default_rng(0), np.linspace(-1, 1, 41)
    x, y, z = np.meshgrid(line, line, line, indexing="ij")
    for dense in (5.0, 20.0, 100.0):
        grid = np.zeros_like(x)
        for middle in rng.uniform(-0.5, 0.5, (3, 3)):
            squares = sum((a - b) ** 2 for a, b in zip((x, y, z), middle, strict=True))
            grid += dense * np.exp(-20 * squares)
        inside = inner_depth(grid, (1.0, 1.0, 1.0)) > OPAQUE
        for axis in range(3):
            opaque, seen = grid.sum(axis) * 0.05 > math.log(2), inside.any(axis)
            assert (seen & opaque).sum() > 0.7 * (seen | opaque).sum()
