"""Surfaces of scenes against true shapes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.instruments import object_surfaces
from lightning_modules.evaluation.point_sets import PointCloud
from lightning_modules.evaluation.settings import MetricSettings
from lightning_modules.evaluation.shape_files import cloud_bytes
from lightning_modules.evaluation.shapes import Shape
from lightning_modules.evaluation.true_shapes import (
    TrueShapes,
    own_shape_figures,
    rotated,
    set_figures,
    surface_clouds,
)
from models.scenes import Scenes
from models.spaces import BoxSpace
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling

POINTS = 2000


def ball(count: int = POINTS, radius: float = 1.0, seed: int = 0) -> PointCloud:
    normals = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    normals = normals / normals.norm(dim=1, keepdim=True)
    return PointCloud(radius * normals, normals)


def rod(count: int = POINTS) -> PointCloud:
    """Along x: two sides of a thin plate."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -0.1, 0], [1, 0.1, 0], (count, 3)).astype(np.float32)
    normals = np.tile(np.float32([0, 0, 1]), (count, 1))
    return PointCloud(torch.from_numpy(points), torch.from_numpy(normals))


def values(cloud: PointCloud) -> Tensor:
    assert cloud.normals is not None
    return torch.cat([cloud.points, cloud.normals], 1)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> TrueShapes:
    """A ball of class mug, a rod and another one of class chair, of other sizes than the scenes."""
    folder: Path = tmp_path_factory.mktemp("shapes")
    for name, cloud in (
        ("mug/round", ball(radius=3.0)),
        ("chair/long", PointCloud(5 * rod().points + 7, rod().normals)),
        ("chair/chair_b", rod()),
    ):
        path = folder / f"{name}.ply"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cloud_bytes(cloud))
    return TrueShapes.read(str(folder), POINTS, 0)


def dense_balls(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Balls of the radii that the planes say, the denser the deeper: steps would make stairs."""
    depth = planes[:, 0, 0, 0, 0, None] - points.norm(dim=-1)
    return 100 * depth.clamp(min=0), torch.zeros_like(points)


def balls(*radii: float) -> Scenes:
    planes = torch.tensor(radii)[:, None, None, None, None].expand(-1, 3, 1, 2, 2)
    camera = orbit_camera(torch.zeros(1), 0.0, 3.0, 40.0)
    return Scenes(planes, dense_balls, BoxSpace(1.0, 1.0), RaySampling(8, 0), camera)


def test_surfaces_are_scattered_over_and_scaled(shapes: TrueShapes) -> None:
    settings = MetricSettings(("shapes",), fou_resolution=48)
    meshes = object_surfaces(balls(0.5, 0.0, 0.8), settings)
    clouds = surface_clouds(meshes, POINTS, (0, 1, 2))
    assert clouds[1].isnan().all()  # nothing is there
    for cloud in (clouds[0], clouds[2]):
        assert cloud[:, :3].norm(dim=1).mean() == pytest.approx(0.5, abs=0.02)
        assert (cloud[:, :3] * cloud[:, 3:]).sum(1).mean() == pytest.approx(0.5, abs=0.03)
    figures = own_shape_figures(clouds, ("mug_round", "mug_round-3", "round-12"), shapes)
    assert figures["chamfer"][[0, 2]].max() < 1.5e-3  # about twice that of other points of a ball
    assert figures["normal_consistency"][[0, 2]].min() > 0.95
    assert figures["chamfer"][1].isnan()


def test_shapes_are_found_by_the_keys_of_images(shapes: TrueShapes) -> None:
    assert shapes.of_image("mug_round-7").name == "round"
    assert shapes.of_image("chair_b-11").name == "chair_b"  # make_key repeats no class
    assert shapes.of_image("long").name == "long"
    with pytest.raises(DataError, match="no shape of image mug_other-1: name shapes like images"):
        shapes.of_image("mug_other-1")
    assert {shape.name for shape in shapes.of_class("chair")} == {"long", "chair_b"}
    assert len(shapes.of_class(None)) == 3


def test_coverage_and_matching_distance_are_of_each_class_and_weighted_by_shapes(
    shapes: TrueShapes,
) -> None:
    halved = PointCloud(ball(seed=1).points / 2, ball().normals)
    plate = values(PointCloud(rod().points / 2, rod().normals))
    own = values(PointCloud(halved.points, ball(seed=1).normals))
    clouds, labels = torch.stack([plate, plate, own]), torch.tensor([0, 0, 1])
    found = set_figures(clouds, labels, ("chair", "mug"), shapes)
    assert found["coverage"] == pytest.approx(2 / 3)  # equal chairs are near one of the two
    assert found["mmd"] < 1e-3
    assert found["normal_consistency"] > 0.95
    swapped = set_figures(clouds, torch.tensor([1, 1, 0]), ("chair", "mug"), shapes)
    assert swapped["mmd"] > 20 * found["mmd"]
    empty = clouds.clone()
    empty[2] = torch.nan
    lacking = set_figures(empty, labels, ("chair", "mug"), shapes)
    assert lacking["coverage"] == pytest.approx(1 / 3)
    assert math.isnan(lacking["mmd"])


def test_points_without_normals_have_no_consistency(shapes: TrueShapes) -> None:
    bare = tuple(Shape(s.name, s.label, PointCloud(s.cloud.points)) for s in shapes.shapes)
    plain = TrueShapes(bare, {shape.name: shape for shape in bare})
    cloud = values(PointCloud(ball(seed=1).points / 2, ball(seed=1).normals))[None]
    assert list(own_shape_figures(cloud, ("round",), plain)) == ["chamfer"]
    found = set_figures(cloud, torch.tensor([1]), ("chair", "mug"), plain)
    assert list(found) == ["coverage", "mmd"]


def test_shapes_of_other_points_are_others(shapes: TrueShapes) -> None:
    last = shapes.shapes[-1]
    moved = Shape(last.name, last.label, PointCloud(last.cloud.points + 1e-3))
    assert TrueShapes(shapes.shapes, {}).hash == shapes.hash
    assert TrueShapes((*shapes.shapes[:-1], moved), {}).hash != shapes.hash


def test_a_world_that_is_turned_is_turned_back(shapes: TrueShapes) -> None:
    plate = values(PointCloud(rod().points / 2, rod().normals))
    turn = math.pi / 2
    about_z = torch.tensor([[math.cos(turn), -math.sin(turn), 0], [1, 0, 0], [0, 0, 1.0]])
    turned = torch.cat([part @ about_z.T for part in plate.split(3, 1)], 1)
    clouds, labels = torch.stack([turned]), torch.tensor([0])
    wrong = set_figures(clouds, labels, ("chair",), shapes)
    right = set_figures(
        rotated(clouds, labels, {0: about_z.T.double()}), labels, ("chair",), shapes
    )
    assert right["mmd"] < 1e-3
    assert wrong["mmd"] > 50 * right["mmd"]
    assert torch.equal(rotated(clouds, labels, {1: about_z}), clouds)
