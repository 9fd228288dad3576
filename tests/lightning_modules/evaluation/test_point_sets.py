import math

import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.point_sets import (
    PointCloud,
    chamfer_distances,
    coverage,
    minimum_matching_distance,
    normal_consistency,
)


def plane(height: float, side: int = 8) -> Tensor:
    """Lattice points of step 1 in the plane y = height, (P, 3)."""
    x, z = torch.meshgrid(torch.arange(side) * 1.0, torch.arange(side) * 1.0, indexing="ij")
    return torch.stack([x, torch.full_like(x, height), z], -1).flatten(0, 1)


def sphere(points: int, radius: float, seed: int = 0) -> PointCloud:
    """Random points, with outward normals."""
    found = torch.randn(points, 3, generator=torch.Generator().manual_seed(seed))
    normals = torch.nn.functional.normalize(found, dim=1)
    return PointCloud(radius * normals, normals)


def test_parallel_planes_are_twice_their_squared_distance_apart() -> None:
    low, high = torch.stack([plane(0.0), plane(1.0)]), torch.stack([plane(3.0)])
    assert chamfer_distances(low, high).tolist() == [[18.0], [8.0]]


def test_a_cloud_is_as_far_from_itself_as_it_is_moved() -> None:
    cloud = plane(0.0)
    moved = cloud + torch.tensor([0.1, 0.2, 0.2])  # by less than half a step
    found = chamfer_distances(cloud[None], torch.stack([cloud, moved]))
    assert found.dtype == torch.float64
    assert found[0].tolist() == pytest.approx([0, 2 * 0.09], abs=1e-6)


def test_each_way_is_a_mean_of_its_own() -> None:
    one = torch.zeros(1, 4, 3)
    two = torch.tensor([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])
    assert chamfer_distances(one, two).tolist() == [[2.0]]  # 0 there, (0 + 4) / 2 back
    assert chamfer_distances(two, one).tolist() == [[2.0]]


def test_distances_agree_with_all_pairs_of_points() -> None:
    rng = torch.Generator().manual_seed(0)
    first, second = torch.rand(3, 50, 3, generator=rng), torch.rand(4, 30, 3, generator=rng)
    squares = (first[:, None, :, None] - second[None, :, None]).square().sum(-1)
    expected = squares.amin(3).mean(2) + squares.amin(2).mean(2)
    torch.testing.assert_close(chamfer_distances(first, second).float(), expected)


def test_samples_that_are_one_shape_cover_one_reference() -> None:
    references = torch.stack([plane(float(height)) for height in range(5)])
    alike = chamfer_distances(references[2:3].expand(7, -1, -1), references)
    assert coverage(alike) == 1 / 5
    assert minimum_matching_distance(alike) == pytest.approx(2 * (4 + 1 + 0 + 1 + 4) / 5)


def test_equal_sets_cover_and_match_each_other() -> None:
    references = torch.stack([plane(float(height)) for height in range(5)])
    equal = chamfer_distances(references.flip(0), references)
    assert coverage(equal) == 1
    assert minimum_matching_distance(equal) == 0


def test_coverage_asks_the_samples_and_matching_the_references() -> None:
    distances = torch.tensor([[1.0, 2.0, 9.0], [3.0, 4.0, 5.0]])  # both nearest to the first
    assert coverage(distances) == pytest.approx(1 / 3)
    assert minimum_matching_distance(distances) == pytest.approx((1 + 2 + 5) / 3)


def test_normals_of_spheres_agree() -> None:
    first, second = sphere(2000, 1.0), sphere(2000, 1.1, seed=1)
    assert normal_consistency(first, second) == pytest.approx(1, abs=2e-3)
    turned = PointCloud(second.points, -sphere(2000, 1.0, seed=1).points)
    assert normal_consistency(first, turned) == normal_consistency(first, second)
    assert normal_consistency(first, first) == pytest.approx(1)


@pytest.mark.parametrize("degrees", [0, 60, 90])
def test_normals_of_planes_have_the_cosine_of_their_angle(degrees: float) -> None:
    points, angle = plane(0.0), math.radians(degrees)
    up = torch.tensor([[0.0, 1.0, 0.0]]).expand_as(points)
    tilted = torch.tensor([[0.0, math.cos(angle), math.sin(angle)]]).expand_as(points)
    found = normal_consistency(PointCloud(points, up), PointCloud(points + 0.1, tilted))
    assert found == pytest.approx(math.cos(angle), abs=1e-6)


def test_what_cannot_be_compared_is_refused() -> None:
    bare, clouds = PointCloud(plane(0.0)), plane(0.0)[None]
    with pytest.raises(DataError, match="one has none"):
        normal_consistency(bare, sphere(20, 1.0))
    with pytest.raises(DataError, match=r"Point clouds are \(64, 3\): give \(N, P, 3\)"):
        chamfer_distances(clouds[0], clouds)
    with pytest.raises(DataError, match="not finite"):
        chamfer_distances(clouds, clouds / 0)
    for figure in (coverage, minimum_matching_distance):
        with pytest.raises(DataError, match=r"Distances are \(0, 3\)"):
            figure(torch.zeros(0, 3))
        with pytest.raises(DataError, match="not finite"):
            figure(torch.tensor([[torch.nan]]))
