"""The surface of a scene as a coloured mesh file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from datamodules.errors import DataError
from models.scenes import Scenes
from renderers.mesh import (
    Mesh,
    colour_vertices,
    component_faces,
    density_grid,
    extract_mesh,
    largest_component,
    save_mesh,
)

MeshFormat = Literal["glb", "ply", "obj"]
QUANTILE = 0.7
"""Of the densities in the box: what the camera sees of a scene bounds a solid, which in the unit
cube fills about a third of the embedded data set's scenes."""


@dataclass(frozen=True)
class Surface:
    """Which surface of a scene becomes a mesh.

    resolution: lattice points along each side of the box; half_extent: of the box around the
    origin, in world units; level: density of the surface, None for the `quantile` of the box's
    densities; largest_component: whether only the connected part with the most faces stays.
    """

    resolution: int = 128
    half_extent: float = 1.0
    level: float | None = None
    quantile: float = QUANTILE
    largest_component: bool = False

    def __post_init__(self) -> None:
        if self.resolution < 2:
            raise DataError(f"The mesh's resolution is {self.resolution}, it must be at least 2.")
        if self.half_extent <= 0:
            raise DataError(f"half_extent is {self.half_extent}, it must be above 0.")


@dataclass(frozen=True)
class MeshFigures:
    """Size of a mesh, and the connected components of the surface it was taken from: how many, and
    the largest one's share of the faces."""

    vertices: int
    faces: int
    components: int
    largest_share: float

    def __str__(self) -> str:
        parts = "component" if self.components == 1 else "components"
        return (
            f"{self.vertices:,} vertices, {self.faces:,} faces; surface of {self.components:,} "
            f"{parts}, the largest with {self.largest_share:.1%} of the faces"
        )


@torch.no_grad()
def scene_mesh(scenes: Scenes, surface: Surface) -> tuple[Mesh, MeshFigures]:
    """The mesh of the first scene, with vertex colours.

    Raises:
        ValueError: no density reaches the level, or the quantile is outside (0, 1).
    """
    first, device = scenes[:1], scenes.planes.device
    grid = density_grid(first.density, surface.resolution, surface.half_extent, device=device)
    mesh = extract_mesh(grid, surface.half_extent, surface.level, surface.quantile)
    faces = component_faces(mesh)
    if surface.largest_component:
        mesh = largest_component(mesh)
    figures = MeshFigures(
        len(mesh.vertices), len(mesh.faces), len(faces), float(faces[0] / faces.sum())
    )
    return colour_vertices(mesh, lambda points: first.at(points)[1], device=device), figures


def write_mesh(scenes: Scenes, path: Path, surface: Surface, note: str) -> MeshFigures:
    """Write the mesh of the first scene, making its folder; see `scene_mesh`."""
    mesh, figures = scene_mesh(scenes, surface)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_mesh(mesh, path, note)
    return figures
