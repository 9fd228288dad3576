from pathlib import Path

import pytest
import torch
from known_box import NAMES, SIDES, write_box

from benchmarks.depth_normals import view_surface
from benchmarks.known_views import ObjectViews, read_known_views
from benchmarks.true_shapes import even_points, main, write_shapes
from datamodules.build.shapeworld.samples import scene_of_key
from datamodules.errors import DataError
from lightning_modules.evaluation.point_sets import PointCloud
from lightning_modules.evaluation.shapes import read_shapes
from renderers.cameras import distance_to_z, orbit_camera, sphere_angles, uniform_pairs
from renderers.rays import camera_rays

RADIUS, SIDE = 0.3, 96
MIDDLE = torch.tensor([0.1, 0.0, -0.1])
HALF = torch.tensor([SIDES[2], SIDES[1], SIDES[0]]) / 2
"""Of the box of `write_box`, its front turned to +x."""


def sphere_views(radius: float) -> ObjectViews:
    """Views of a sphere from random sides, by its closed form."""
    angles = sphere_angles(uniform_pairs(12, torch.Generator().manual_seed(0)))
    camera = orbit_camera(*angles, 1.2, 50.0)
    rays = camera_rays(camera, SIDE, SIDE)
    origins = rays.origins - MIDDLE
    along = (origins * rays.directions).sum(-1)
    inside = along.square() - origins.square().sum(-1) + radius**2
    z = distance_to_z(-along - inside.clamp(min=0).sqrt(), rays.directions, camera)
    depth = (z * (inside > 0)).view(-1, SIDE, SIDE)
    return ObjectViews(("ball/a-00",), "ball", torch.zeros(0), depth > 0, depth, camera)


def cosines(cloud: PointCloud) -> torch.Tensor:
    """Between normals and the way out of the sphere, (N,)."""
    assert cloud.normals is not None
    return torch.nn.functional.cosine_similarity(cloud.points - MIDDLE, cloud.normals)


def test_views_of_a_sphere_give_its_surface() -> None:
    views = sphere_views(RADIUS)
    surface = view_surface(views)
    assert len(surface.points) > 0.99 * views.mask.sum()
    distance = (surface.points - MIDDLE).norm(dim=1)
    torch.testing.assert_close(distance, torch.full_like(distance, RADIUS), atol=1e-4, rtol=0)
    assert cosines(surface).min() > 0.94
    assert cosines(surface).mean() > 0.999


def test_points_are_even_whatever_the_views() -> None:
    cloud = even_points(sphere_views(RADIUS), 1000, seed=0)
    assert cloud.points.shape == (1000, 3)
    middle = (cloud.points - MIDDLE).mean(0) / RADIUS
    assert middle.norm() < 0.1
    unevenly = view_surface(sphere_views(RADIUS)).points
    assert ((unevenly - MIDDLE).mean(0) / RADIUS).norm() > 0.2


def test_surfaces_before_another_do_not_bend_its_normals() -> None:
    near, far = sphere_views(0.1), sphere_views(RADIUS)
    pulled = torch.where(near.mask, near.depth - 0.4, far.depth)  # a cap, apart from the sphere
    both = ObjectViews(far.names, far.label, far.image, far.mask, pulled, far.camera)
    surface = view_surface(both)
    kept = (surface.points - MIDDLE).norm(dim=1) < RADIUS + 1e-3
    assert kept.any()
    assert not kept.all()
    only = PointCloud(surface.points[kept], surface.normals[kept])
    assert cosines(only).min() > 0.94


def test_pixels_without_neighbours_have_no_normals() -> None:
    views = sphere_views(RADIUS)
    alone = torch.zeros_like(views.mask)
    alone[:, ::2, :] = True
    apart = ObjectViews(
        views.names, views.label, views.image, views.mask & alone, views.depth, views.camera
    )
    assert not len(view_surface(apart).points)
    with pytest.raises(DataError, match=r"views of ball/a-00 have 0 pixels .* fewer than --points"):
        even_points(apart, 16, seed=0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views of a box; do not alter."""
    return write_box(tmp_path_factory.mktemp("box"))


def test_normals_of_a_box_are_those_of_its_faces(source: Path) -> None:
    surface = view_surface(read_known_views(source).read(NAMES, None))
    assert surface.normals is not None
    relative = surface.points / HALF
    face = relative.abs().argmax(1, keepdim=True)
    cosine = surface.normals.gather(1, face) * relative.gather(1, face).sign()
    assert (cosine[:, 0] > 0.996).float().mean() > 0.97  # 5 degrees, up to the edges


def test_the_command_writes_a_box_with_its_front_to_x(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--source", str(source), "--out", str(tmp_path), "--points", "900"]
    monkeypatch.setattr("sys.argv", ["true_shapes", *words])
    main()
    assert f"1 object in {tmp_path}" in capsys.readouterr().out
    (shape,) = read_shapes(tmp_path, 900)
    assert (shape.label, shape.name) == ("vehicle", "box-a")
    assert shape.cloud.normals is not None
    torch.testing.assert_close(shape.cloud.points.abs().amax(0), HALF, atol=0.01, rtol=0)
    areas = torch.stack([HALF[1] * HALF[2], HALF[0] * HALF[2], HALF[0] * HALF[1]])
    face = (shape.cloud.points / HALF).abs().argmax(1)
    shares = face.bincount() / len(face)
    torch.testing.assert_close(shares, areas / areas.sum(), atol=0.04, rtol=0)


def test_the_command_writes_embedded_objects_from_below_too(
    hidden_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--root", hidden_root, "--out", str(tmp_path), "--objects", "1", "--points", "2000"]
    monkeypatch.setattr("sys.argv", ["true_shapes", *words])
    main()
    (shape,) = read_shapes(tmp_path, 2000)
    assert (shape.label, shape.name) == ("airplane", "val-000000")
    length, width, height = scene_of_key(0, shape.name).size
    half = torch.tensor([length, height, width]) / 2
    for found in (shape.cloud.points.amax(0), -shape.cloud.points.amin(0)):
        torch.testing.assert_close(found, half, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--source", "{folder}"),
            "{folder} has no cameras.json: name the folder of",
        ),
        (
            ("--root", "{hidden}", "--split", "test"),
            "--split is test, {hidden} has only train",
        ),
        (("--root", "{hidden}", "--points", "8"), "--points is 8, it must be at least 16."),
        (("--root", "{hidden}", "--objects", "0"), "--objects is 0, it must be at least 1."),
    ],
)
def test_the_command_ends_with_one_sentence(
    words: tuple[str, ...],
    said: str,
    hidden_root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [word.format(folder=tmp_path, hidden=hidden_root) for word in words]
    monkeypatch.setattr("sys.argv", ["true_shapes", *given, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(said.format(folder=tmp_path, hidden=hidden_root))
    assert not (tmp_path / "out").exists()


def test_objects_that_views_show_too_little_of_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fewer than --points, 99999999"):
        write_shapes({"ball/a": lambda: sphere_views(RADIUS)}, tmp_path, 99_999_999, 0)
    assert not list(tmp_path.iterdir())
