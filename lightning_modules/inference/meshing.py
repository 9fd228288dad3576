"""The surface of a scene as a coloured mesh file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from datamodules.errors import DataError
from datamodules.files import write_atomically
from models.scenes import Scenes
from models.spaces import HalfExtents, Space
from renderers.mesh import (
    Mesh,
    colour_vertices,
    component_faces,
    density_grid,
    extract_mesh,
    largest_component,
    mesh_bytes,
)
from renderers.opaque_surface import OPAQUE, inner_depth

MeshFormat = Literal["glb", "ply", "obj"]
QUANTILE = 0.7
"""Of the densities in the box: what the camera sees of a scene bounds a solid, which in the unit
cube fills about a third of the embedded data set's scenes."""


@dataclass(frozen=True)
class Surface:
    """The surface of a scene that becomes a mesh.

    resolution: lattice points along each side of the box; half_extent: of the box around the
    origin, in world units; level: density of the surface; quantile: of the box's densities, in
    place of a level; largest_component: whether only the connected part with the most faces stays.

    None leaves box and surface to the scene: where it lies in a box they are that and the surface
    of what is opaque, see `renderers.opaque_surface`, elsewhere the unit cube and the quantile
    `QUANTILE`.
    """

    resolution: int = 128
    half_extent: float | None = None
    level: float | None = None
    quantile: float | None = None
    largest_component: bool = False

    def __post_init__(self) -> None:
        if self.resolution < 2:
            raise DataError(f"The mesh's resolution is {self.resolution}, it must be at least 2.")
        if self.half_extent is not None and self.half_extent <= 0:
            raise DataError(f"half_extent is {self.half_extent}, it must be above 0.")
        if self.level is not None and self.quantile is not None:
            raise DataError(
                f"level is {self.level} and quantile {self.quantile}: give only one of them."
            )

    def extents(self, space: Space) -> HalfExtents:
        """Half the sides of the box, for the first scene in a space."""
        if self.half_extent is not None:
            return self.half_extent, self.half_extent, self.half_extent
        return space.box() or (1.0, 1.0, 1.0)

    def extract(self, grid: np.ndarray, half: HalfExtents, boxed: bool) -> Mesh:
        """The mesh of a `density_grid` of a box, of a scene that lies in one or in none.

        Raises:
            ValueError: there is no such surface, or the quantile is outside (0, 1).
        """
        if self.level is None and self.quantile is None and boxed:
            depth = inner_depth(grid, half)
            if depth.max() <= OPAQUE:
                raise ValueError(
                    "no surface, for it is opaque nowhere: choose a level below "
                    f"{grid.max():.4g}, its largest density"
                )
            return extract_mesh(depth, half, OPAQUE)
        return extract_mesh(
            grid, half, self.level, QUANTILE if self.quantile is None else self.quantile
        )


@dataclass(frozen=True)
class MeshStatistics:
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
def scene_surface(scenes: Scenes, surface: Surface) -> Mesh:
    """The mesh of the first scene, without colours; see `Surface.extract` for the errors."""
    first = scenes[:1]
    half = surface.extents(first.space)
    grid = density_grid(first.density, surface.resolution, half, device=scenes.planes.device)
    return surface.extract(grid, half, first.space.box() is not None)


@torch.no_grad()
def scene_mesh(scenes: Scenes, surface: Surface) -> tuple[Mesh, MeshStatistics]:
    """The mesh of the first scene, with vertex colours.

    Raises:
        ValueError: there is no surface, or the quantile is outside (0, 1).
    """
    mesh = scene_surface(scenes, surface)
    faces = component_faces(mesh)
    if surface.largest_component:
        mesh = largest_component(mesh)
    statistics = MeshStatistics(
        len(mesh.vertices), len(mesh.faces), len(faces), float(faces[0] / faces.sum())
    )
    return colour_vertices(mesh, scenes[:1].color, device=scenes.planes.device), statistics


def write_mesh(scenes: Scenes, path: Path, surface: Surface, note: str) -> MeshStatistics:
    """Write the mesh of the first scene, making its folder; see `scene_mesh`."""
    mesh, statistics = scene_mesh(scenes, surface)
    write_atomically(path, mesh_bytes(mesh, path.suffix, note))
    return statistics
