import json

import numpy as np
import pytest
import torch
import trimesh

from renderers.mesh import (
    NOTE_KEY,
    Mesh,
    MeshNode,
    colour_vertices,
    component_faces,
    density_grid,
    extract_mesh,
    glb_bytes,
    largest_component,
    mesh_bytes,
    to_trimesh,
)


def _ball(points, centre=(0.0, 0.0, 0.0), radius=0.5):
    return radius - (points - points.new_tensor(centre)).norm(dim=-1)


def _positions(points):
    return (points + 1) / 2


def test_a_sphere_has_its_radius_volume_and_one_component():
    mesh = extract_mesh(density_grid(_ball, 48), level=0.0)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert radius == pytest.approx(0.5, abs=0.01)
    solid = to_trimesh(mesh)
    assert solid.is_watertight
    # Positive volume: faces turn outwards.
    assert solid.volume == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.02)
    assert solid.body_count == 1


def test_the_grid_is_indexed_by_x_y_z_and_chunks_do_not_matter():
    def ramp(points):
        return points @ points.new_tensor([1.0, 10.0, 100.0])

    grid = density_grid(ramp, 5, half_extent=2.0)
    assert grid[4, 2, 2] == pytest.approx(2.0)
    assert grid[2, 4, 2] == pytest.approx(20.0)
    assert grid[2, 2, 0] == pytest.approx(-200.0)
    assert np.allclose(grid, density_grid(ramp, 5, half_extent=2.0, chunk=7))


def test_a_surface_that_leaves_the_box_is_closed():
    grid = density_grid(lambda p: torch.ones(p.shape[:2]), 8, half_extent=0.7)
    solid = to_trimesh(extract_mesh(grid, half_extent=0.7, level=0.5))
    assert solid.is_watertight
    assert solid.volume == pytest.approx(1.4**3, rel=0.02)


def test_a_box_may_be_longer_along_some_axes():
    half = (0.5, 1.0, 2.0)

    def ellipsoid(points):
        return 0.8 - (points / points.new_tensor(half)).norm(dim=-1)

    grid = density_grid(ellipsoid, 33, half)
    assert grid[32, 16, 16] == pytest.approx(-0.2)
    mesh = extract_mesh(grid, half, level=0.0)
    expected = 0.8 * np.array(half)
    assert mesh.vertices.max(0) == pytest.approx(expected, rel=0.01)
    assert mesh.vertices.min(0) == pytest.approx(-expected, rel=0.01)
    solid = to_trimesh(mesh)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4 / 3 * np.pi * expected.prod(), rel=0.02)


def test_a_surface_that_leaves_a_long_box_is_closed_at_its_faces():
    half = (0.5, 1.0, 2.0)
    grid = density_grid(lambda p: torch.ones(p.shape[:2]), 8, half)
    mesh = extract_mesh(grid, half, level=0.5)
    assert mesh.vertices.max(0).tolist() == [0.5, 1.0, 2.0]
    assert to_trimesh(mesh).volume == pytest.approx(8.0, rel=0.02)


def test_a_quantile_adapts_to_the_scale_of_the_density():
    grid = density_grid(_ball, 32)
    inside = 4 / 3 * np.pi * 0.125 / 8
    mesh = extract_mesh(1000.0 * grid, quantile=1 - inside)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.5, abs=0.05)


def test_the_largest_component_keeps_its_colours():
    def two(points):
        return torch.maximum(_ball(points, (-0.4, 0, 0), 0.4), _ball(points, (0.6, 0, 0), 0.2))

    mesh = colour_vertices(extract_mesh(density_grid(two, 40), level=0.0), _positions)
    assert to_trimesh(mesh).body_count == 2
    assert component_faces(mesh).sum() == len(mesh.faces)
    biggest = largest_component(mesh)
    assert to_trimesh(biggest).body_count == 1
    assert len(biggest.faces) == component_faces(mesh)[0] > component_faces(mesh)[1]
    assert to_trimesh(biggest).is_watertight
    assert biggest.vertices[:, 0].max() < 0.1
    expected = (biggest.vertices + 1) / 2 * 255
    assert np.abs(biggest.colours - expected).max() <= 1


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".obj"])
def test_files_come_back_through_trimesh(tmp_path, suffix):
    mesh = colour_vertices(extract_mesh(density_grid(_ball, 16), level=0.0), _positions)
    path = tmp_path / f"ball{suffix}"
    path.write_bytes(mesh_bytes(mesh, suffix))
    loaded = trimesh.load(path, force="mesh", process=False)
    assert len(loaded.faces) == len(mesh.faces)
    assert loaded.bounds == pytest.approx(to_trimesh(mesh).bounds, abs=1e-4)
    colours = np.asarray(loaded.visual.vertex_colors)[:, :3]
    assert colours.std() == pytest.approx(mesh.colours.std(), rel=0.05)


@pytest.mark.parametrize(
    ("suffix", "line"),
    [
        (".glb", b'"extras":{"%s":"made so"}'),
        (".ply", b"comment %s made so\n"),
        (".obj", b"# %s made so\n"),
    ],
)
def test_a_note_is_stored_and_the_mesh_still_opens(tmp_path, suffix, line):
    mesh = extract_mesh(density_grid(_ball, 8), level=0.0)
    path = tmp_path / f"ball{suffix}"
    path.write_bytes(mesh_bytes(mesh, suffix, "made so"))
    assert line % NOTE_KEY.encode() in path.read_bytes()[:2000]
    assert len(trimesh.load(path, force="mesh", process=False).faces) == len(mesh.faces)


def test_unknown_formats_and_empty_surfaces_are_refused():
    mesh = extract_mesh(density_grid(_ball, 16), level=0.0)
    with pytest.raises(ValueError, match=r"\.glb or \.ply or \.obj"):
        mesh_bytes(mesh, ".stl")
    with pytest.raises(ValueError, match="no surface at density 9"):
        extract_mesh(density_grid(_ball, 16), level=9.0)
    with pytest.raises(ValueError, match="quantile"):
        extract_mesh(density_grid(_ball, 16), quantile=1.0)


def test_a_scene_has_a_node_a_mesh_with_its_name_and_matrix(tmp_path):
    tetrahedron = Mesh(
        np.eye(4, 3, dtype=np.float32),
        np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]),
        np.full((4, 3), 200, np.uint8),
    )
    moved = np.diag([2.0, 1.0, 1.0, 1.0])
    moved[:3, 3] = 5, 6, 7
    nodes = [MeshNode("world", tetrahedron, np.eye(4)), MeshNode("b \u00e9", tetrahedron, moved)]
    path = tmp_path / "scene.glb"
    path.write_bytes(glb_bytes(nodes, "a note"))
    content = path.read_bytes()
    tree = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    assert {"world", "b \u00e9"} <= {node["name"] for node in tree["nodes"]}
    assert len([node for node in tree["nodes"] if "mesh" in node]) == 2
    assert tree["asset"]["extras"] == {NOTE_KEY: "a note"}
    scene = trimesh.load(path)
    matrix, geometry = scene.graph["b \u00e9"]
    np.testing.assert_allclose(matrix, moved)
    np.testing.assert_array_equal(scene.geometry[geometry].vertices, tetrahedron.vertices)
    assert (np.asarray(scene.geometry[geometry].visual.vertex_colors)[:, :3] == 200).all()
    np.testing.assert_allclose(scene.bounds, [[0, 0, 0], [7, 7, 8]])
