"""Meshes of density fields: sample a grid, march cubes, colour the vertices, encode them as a file.

The world is y-up as in glTF, so vertices are written as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Density = Callable[[Tensor], Tensor]
"""Maps points (1, N, 3) to density (1, N)."""
Colour = Callable[[Tensor], Tensor]
"""Maps points (1, N, 3) to colours (1, N, 3) in [0, 1]."""
HalfExtent = float | tuple[float, float, float]
"""Half the side of a cube around the origin, or the three of a box."""
FORMATS = (".glb", ".ply", ".obj")
NOTE_KEY = "wild3d"
"""Key that a note is stored under, see `mesh_bytes`."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in the world.

    vertices: (V, 3) float32; faces: (F, 3) int64, counter-clockwise from outside; colours: (V, 3)
    uint8 or None.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray | None = None


@torch.no_grad()
def _in_chunks(function: Callable[[Tensor], Tensor], points: Tensor, chunk: int) -> Tensor:
    parts = [function(part.unsqueeze(0)).squeeze(0).float().cpu() for part in points.split(chunk)]
    return torch.cat(parts)


def density_grid(
    density: Density,
    resolution: int,
    half_extent: HalfExtent = 1.0,
    chunk: int = 1 << 18,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Evaluate `density` on a lattice, float32 (resolution, resolution, resolution), indices x, y,
    z.

    The lattice spans the box from -half_extent to half_extent along each axis, faces included, with
    as many points along its short sides as along its long ones; `chunk` points are evaluated at
    once.

    >>> grid = density_grid(lambda points: points[..., 0], resolution=3, half_extent=2.0)
    >>> grid[:, 0, 0].tolist()
    [-2.0, 0.0, 2.0]
    """
    xs, ys, zs = (
        torch.linspace(-half, half, resolution, device=device) for half in _three(half_extent)
    )
    slabs = max(1, chunk // resolution**2)
    parts = []
    for x in xs.split(slabs):
        points = torch.stack(torch.meshgrid(x, ys, zs, indexing="ij"), dim=-1)
        parts.append(_in_chunks(density, points.flatten(0, 2), chunk).view(points.shape[:3]))
    return torch.cat(parts).numpy()


def extract_mesh(
    grid: np.ndarray,
    half_extent: HalfExtent = 1.0,
    level: float | None = None,
    quantile: float = 0.95,
) -> Mesh:
    """March cubes over a `density_grid`; a surface that leaves the box is closed at its faces.

    half_extent: that of the grid. level: density of the surface; when None, the `quantile` of the
    grid, which adapts to densities of unknown scale. Raises ValueError when no density reaches the
    level, or for a quantile outside (0, 1).

    >>> grid = density_grid(lambda points: 0.5 - points.norm(dim=-1), resolution=33)
    >>> ball = extract_mesh(grid, level=0.0)
    >>> round(float(np.linalg.norm(ball.vertices, axis=1).mean()), 2), len(component_faces(ball))
    (0.5, 1)
    """
    from skimage.measure import marching_cubes

    if level is None:
        if not 0.0 < quantile < 1.0:
            raise ValueError(f"quantile must lie in (0, 1), got {quantile}")
        level = float(np.quantile(grid, quantile))
    outside = min(0.0, float(grid.min()))
    if not outside < level < grid.max():
        raise ValueError(
            f"no surface at density {level:.4g}: choose a level between {outside:.4g}, the density "
            f"outside the box, and {grid.max():.4g}, the maximum inside"
        )
    padded = np.pad(grid, 1, constant_values=outside)
    halves = _three(half_extent)
    spacing = [2.0 * half / (size - 1) for half, size in zip(halves, grid.shape, strict=True)]
    # Density grows inwards, so "ascent" turns the faces outwards.
    vertices, faces, _, _ = marching_cubes(
        padded, level, spacing=tuple(spacing), gradient_direction="ascent"
    )
    half, step = (np.array(lengths, vertices.dtype) for lengths in (halves, spacing))
    vertices = np.clip(vertices - step - half, -half, half)
    return Mesh(vertices.astype(np.float32), faces.astype(np.int64))


def _three(half_extent: HalfExtent) -> tuple[float, float, float]:
    """Return the half extents along x, y and z."""
    if isinstance(half_extent, tuple):
        return half_extent
    return half_extent, half_extent, half_extent


def component_faces(mesh: Mesh) -> np.ndarray:
    """Number of faces of each connected component, int64 (N,), falling."""
    return np.sort(np.bincount(_face_components(mesh)))[::-1]


def component_areas(mesh: Mesh) -> np.ndarray:
    """Area of each connected component, float64 (N,), in no order."""
    a, b, c = mesh.vertices[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return np.bincount(_face_components(mesh), areas)


def largest_component(mesh: Mesh) -> Mesh:
    """Return the connected component with the most faces."""
    components = _face_components(mesh)
    faces = mesh.faces[components == np.bincount(components).argmax()]
    used, renumbered = np.unique(faces, return_inverse=True)
    colours = None if mesh.colours is None else mesh.colours[used]
    return Mesh(mesh.vertices[used], renumbered.reshape(faces.shape), colours)


def _face_components(mesh: Mesh) -> np.ndarray:
    """Index of the component of each face, (F,) from 0: faces that share a vertex are connected."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a, b, c = mesh.faces.T
    ends = np.concatenate([a, b]), np.concatenate([b, c])
    size = (len(mesh.vertices),) * 2
    edges = coo_matrix((np.ones(len(ends[0]), dtype=np.int8), ends), size)
    _, of_vertex = connected_components(edges, directed=False)
    return np.unique(of_vertex[a], return_inverse=True)[1]  # vertices without faces do not count


def colour_vertices(
    mesh: Mesh, colour: Colour, chunk: int = 1 << 18, device: torch.device | str = "cpu"
) -> Mesh:
    """Return the mesh with `colour` evaluated at its vertices."""
    points = torch.from_numpy(mesh.vertices).to(device)
    values = _in_chunks(colour, points, chunk).clamp(0.0, 1.0)
    return Mesh(mesh.vertices, mesh.faces, (values * 255.0).round().byte().numpy())


def to_trimesh(mesh: Mesh) -> Any:
    """Return the mesh as `trimesh.Trimesh`, vertices kept as they are."""
    import trimesh

    return trimesh.Trimesh(
        mesh.vertices, mesh.faces, vertex_colors=mesh.colours, process=False, validate=False
    )


@dataclass(frozen=True)
class MeshNode:
    """A mesh in a frame of its own; matrix: its homogeneous points to those of the world, (4, 4),
    stretched along its own axes first, then turned and moved, as glTF has it."""

    name: str
    mesh: Mesh
    matrix: np.ndarray


def glb_bytes(nodes: Sequence[MeshNode], note: str | None = None) -> bytes:
    """Encode meshes as the content of a .glb file, a node of its name and matrix each.

    Names are distinct; note: as of `mesh_bytes`.
    """
    import trimesh

    names = {node.name for node in nodes}
    root = "world"
    while root in names:  # it is a name to trimesh, though no node of the file
        root += "-"
    scene = trimesh.Scene(base_frame=root)
    for node in nodes:
        solid = to_trimesh(node.mesh)
        scene.add_geometry(solid, node.name, node.name, transform=node.matrix)
    return scene.export(file_type="glb", tree_postprocessor=_noting(note))


def _noting(note: str | None) -> Callable[[dict[str, Any]], None]:
    """Put a note into the description of a .glb file."""
    extras = {} if note is None else {"extras": {NOTE_KEY: note}}
    return lambda tree: tree["asset"].update(extras)


def mesh_bytes(mesh: Mesh, suffix: str, note: str | None = None) -> bytes:
    """Encode a mesh as the content of a .glb, .ply or .obj file.

    note: a line of ASCII to store in the file: in .glb under `NOTE_KEY` of `asset.extras`, else
    as a comment of the header that begins with `NOTE_KEY`. Raises ValueError for another suffix.
    """
    if suffix not in FORMATS:
        raise ValueError(f"a mesh can't be {suffix!r}: the suffix must be {' or '.join(FORMATS)}")
    solid = to_trimesh(mesh)
    if suffix == ".glb":
        return solid.export(file_type="glb", tree_postprocessor=_noting(note))
    exported = solid.export(file_type=suffix[1:])
    data = exported.encode() if isinstance(exported, str) else exported
    if note is None:
        return data
    if suffix == ".obj":
        return f"# {NOTE_KEY} {note}\n".encode() + data
    magic, layout, rest = data.split(b"\n", 2)  # "ply" and "format ..." must come first
    return b"\n".join([magic, layout, f"comment {NOTE_KEY} {note}".encode(), rest])
