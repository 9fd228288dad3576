from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from datamodules.errors import DataError
from lightning_modules.evaluation.point_sets import PointCloud
from lightning_modules.evaluation.shape_files import cloud_bytes, read_shape
from lightning_modules.evaluation.shapes import mesh_cloud, normalised, read_shapes
from renderers.mesh import Mesh, mesh_bytes

SIDES = (4.0, 2.0, 1.0)


def box(sides: tuple[float, ...] = SIDES, middle: float = 5.0) -> Mesh:
    solid = trimesh.creation.box(sides)
    return Mesh((solid.vertices + middle).astype(np.float32), np.asarray(solid.faces))


def scattered(count: int = 40) -> PointCloud:
    points, normals = torch.rand(2, count, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    return PointCloud(points, torch.nn.functional.normalize(normals, dim=1))


def check_box(cloud: PointCloud) -> None:
    """Points on all faces by their area, normals out of them."""
    assert cloud.normals is not None
    relative = (cloud.points - 5) / (torch.tensor(SIDES) / 2)
    torch.testing.assert_close(relative.abs().amax(1), torch.ones(len(relative)))
    torch.testing.assert_close((relative * cloud.normals).sum(1), torch.ones(len(relative)))
    torch.testing.assert_close(cloud.normals.norm(dim=1), torch.ones(len(relative)))
    shares = cloud.normals.abs().round().mean(0)
    torch.testing.assert_close(shares, torch.tensor([2.0, 4.0, 8.0]) / 14, atol=0.03, rtol=0)


def test_points_of_a_mesh_are_even_by_area_with_normals() -> None:
    check_box(mesh_cloud(box(), 4000))
    first, again, other = (mesh_cloud(box(), 100, seed).points for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_components_of_a_mesh_have_points() -> None:
    small, large = box((1, 1, 1), 0.0), box((2, 2, 2), 9.0)
    faces = np.concatenate([small.faces, large.faces + len(small.vertices)])
    both = Mesh(np.concatenate([small.vertices, large.vertices]), faces)
    near = (mesh_cloud(both, 4000).points.abs() < 1).all(1).float().mean()
    assert near == pytest.approx(1 / 5, abs=0.03)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb", ".off", ".stl"])
def test_meshes_of_all_formats_are_sampled(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "vehicle" / f"box{suffix}"
    path.parent.mkdir()
    mesh = box()
    if suffix in (".off", ".stl"):
        trimesh.Trimesh(mesh.vertices, mesh.faces).export(path)
    else:
        path.write_bytes(mesh_bytes(mesh, suffix))
    (shape,) = read_shapes(tmp_path, 4000)
    assert (shape.label, shape.name) == ("vehicle", "box")
    check_box(shape.cloud)


def write_cloud(path: Path, cloud: PointCloud) -> None:
    """As the suffix says; .txt stands for .ply of text."""
    assert cloud.normals is not None
    both = torch.cat([cloud.points, cloud.normals], 1).numpy()
    match path.suffix:
        case ".npy":
            np.save(path, both)
        case ".npz":
            np.savez(path, points=both[:, :3], normals=2 * both[:, 3:])
        case ".ply":
            path.write_bytes(cloud_bytes(cloud))
        case ".txt":
            header, _, _ = cloud_bytes(cloud).partition(b"end_header\n")
            with path.with_suffix(".ply").open("wb") as file:
                file.write(header.replace(b"binary_little_endian", b"ascii") + b"end_header\n")
                np.savetxt(file, both)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".ply", ".txt"])
def test_clouds_are_taken_as_they_are(tmp_path: Path, suffix: str) -> None:
    cloud = scattered()
    write_cloud(tmp_path / f"cloud{suffix}", cloud)
    (shape,) = read_shapes(tmp_path, len(cloud.points))
    assert shape.label is None
    assert cloud.normals is not None
    assert shape.cloud.normals is not None
    order = shape.cloud.points[:, 0].argsort()
    expected = cloud.points[:, 0].argsort()
    torch.testing.assert_close(shape.cloud.points[order], cloud.points[expected])
    torch.testing.assert_close(shape.cloud.normals[order], cloud.normals[expected])


def test_clouds_are_thinned_and_filled_up(tmp_path: Path) -> None:
    points = torch.rand(40, 3).numpy()
    np.save(tmp_path / "cloud.npy", points)
    few, many = (read_shapes(tmp_path, count)[0].cloud for count in (20, 100))
    assert few.normals is None
    assert len(few.points.unique(dim=0)) == 20
    assert many.points.shape == (100, 3)
    counts = many.points.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 40
    assert set(counts.tolist()) == {2, 3}
    assert torch.equal(few.points, read_shapes(tmp_path, 20)[0].cloud.points)
    assert not torch.equal(few.points, read_shapes(tmp_path, 20, seed=1)[0].cloud.points)


def test_points_of_a_shape_do_not_follow_from_the_others(tmp_path: Path) -> None:
    names = ("cup/a.npy", "cup/b.npy", "pot/a.npy", "loose.npy")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.arange(120.0).reshape(40, 3))
    (tmp_path / "cup" / ".hidden.npy").write_bytes(b"")
    (tmp_path / "README.md").write_text("of no shape")
    before = read_shapes(tmp_path, 20)
    assert [(s.label, s.name) for s in before] == [
        ("cup", "a"), ("cup", "b"), (None, "loose"), ("pot", "a"),
    ]  # fmt: skip
    assert not torch.equal(before[0].cloud.points, before[3].cloud.points)
    (tmp_path / "cup" / "a.npy").unlink()
    after = read_shapes(tmp_path, 20)
    assert torch.equal(before[1].cloud.points, after[0].cloud.points)


def test_a_normalised_cloud_fills_the_unit_cube_along_one_side() -> None:
    cloud = mesh_cloud(box(), 4000)
    found = normalised(cloud)
    assert found.normals is cloud.normals
    low, high = found.points.amin(0), found.points.amax(0)
    torch.testing.assert_close(low, -high)
    torch.testing.assert_close(high - low, torch.tensor([1, 0.5, 0.25]), atol=2e-3, rtol=0)
    with pytest.raises(DataError, match="all its points in one place"):
        normalised(PointCloud(torch.ones(20, 3)))


PLY = b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", np.zeros((20, 4)), r"it is \(20, 4\), expected \(P, 3\), or \(P, 6\)"),
        ("a.npy", np.zeros((15, 3)), "it has 15 points, at least 16 are needed"),
        ("a.npy", np.full((20, 3), np.nan), "its points hold a number that is not finite"),
        ("a.npy", np.full((20, 3), 1e300), "its points hold a number that is not finite"),
        ("a.npy", np.zeros((20, 6)), "a normal without length"),
        ("a.npy", np.zeros((20, 3), "U1"), "expected numbers"),
        ("a.npy", np.array([[{}] * 3] * 20), "can't be read as .npy"),
        ("a.npz", {"vertices": np.zeros((20, 3))}, "it has no array `points`"),
        ("a.npz", {"points": np.ones((20, 3)), "normals": np.ones((19, 3))}, "20 points and 19"),
        ("a.ply", b"solid", "its header is not that of a PLY file"),
        ("a.ply", PLY + b"end_header\n1 2\n3 4\n", "its vertices have no x, y and z"),
        ("a.ply", PLY + b"property float z\nend_header\n1 2 3\n", "fewer than the 2 vertices"),
        ("a.ply", PLY + b"property float z\nend_header\n1 2 3\n4 5 six\n", "could not convert"),
        ("a.ply", PLY + b"property text z\nend_header\n1 2 3\n", "a property of type text"),
        ("a.ply", cloud_bytes(scattered())[:-1], "fewer than the 40 vertices"),
        ("a.ply", mesh_bytes(box(), ".ply")[:-20], "it is damaged or has no faces"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "it .*has no faces"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "surface of a mesh has area 0"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n", "vertices hold a number that is not"),
        ("a.glb", mesh_bytes(box(), ".glb")[:200], "it is damaged or has no faces"),
        ("a.off", b"", "it is damaged or has no faces"),
    ],
)
def test_files_that_hold_no_shape_are_named(
    tmp_path: Path, name: str, content: bytes | np.ndarray | dict, said: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(DataError, match=said) as raised:
        read_shapes(tmp_path, 32)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_folders_without_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        read_shapes(tmp_path / "none", 32)
    with pytest.raises(DataError, match=r"has no shape: put files <class>/<name> there"):
        read_shapes(tmp_path, 32)
    with pytest.raises(DataError, match="points is 15, it must be at least 16"):
        read_shapes(tmp_path, 15)


def test_a_cloud_is_written_as_other_programs_read_it(tmp_path: Path) -> None:
    cloud = scattered()
    path = tmp_path / "cloud.ply"
    path.write_bytes(cloud_bytes(cloud))
    np.testing.assert_array_equal(trimesh.load(path).vertices, cloud.points)
    found = read_shape(path)
    assert isinstance(found, PointCloud)
    assert torch.equal(found.points, cloud.points)
    path.write_bytes(cloud_bytes(PointCloud(cloud.points)))
    bare = read_shape(path)
    assert isinstance(bare, PointCloud)
    assert bare.normals is None
