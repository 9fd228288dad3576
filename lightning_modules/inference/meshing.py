"""The surface of a scene as a coloured mesh file."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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

MeshFormat = Literal["glb", "ply", "obj"]
QUANTILE = 0.7
"""Of the densities in the box: what the camera sees of a scene bounds a solid, which in the unit
cube fills about a third of the embedded data set's scenes."""

HALF_OPAQUE = 1 / 16
"""Share of a box's width of an even density that lets half of the light through, at which the
surface is taken to be: an object may fill any share of an empty box. In generators fitted to views
of a sphere and of a flat box, that surface and theirs have 0.93 to 0.98 and 0.81 to 0.89 of their
joint volume in common; at four times the density it encloses 0 to 0.7 of it."""


@dataclass(frozen=True)
class Surface:
    """The surface of a scene that becomes a mesh.

    resolution: lattice points along each side of the box; half_extent: of the box around the
    origin, in world units; level: density of the surface; quantile: of the box's densities, in
    place of a level; largest_component: whether only the connected part with the most faces stays.

    None leaves box and level to the scene: where it lies in a box they are that and `box_level`,
    elsewhere the unit cube and the quantile `QUANTILE`.
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

    def threshold(self, space: Space) -> tuple[float | None, float]:
        """Level, if there is one, and quantile, for the first scene in a space."""
        box = space.box()
        if self.level is None and self.quantile is None and box is not None:
            return box_level(box), QUANTILE
        return self.level, QUANTILE if self.quantile is None else self.quantile


def box_level(box: HalfExtents) -> float:
    """The density of which `HALF_OPAQUE` of the box's mean width lets half of the light through."""
    return math.log(2) / (HALF_OPAQUE * 2 * sum(box) / 3)


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
def scene_mesh(scenes: Scenes, surface: Surface) -> tuple[Mesh, MeshStatistics]:
    """The mesh of the first scene, with vertex colours.

    Raises:
        ValueError: no density reaches the level, or the quantile is outside (0, 1).
    """
    first, device = scenes[:1], scenes.planes.device
    half = surface.extents(first.space)
    grid = density_grid(first.density, surface.resolution, half, device=device)
    mesh = extract_mesh(grid, half, *surface.threshold(first.space))
    faces = component_faces(mesh)
    if surface.largest_component:
        mesh = largest_component(mesh)
    statistics = MeshStatistics(
        len(mesh.vertices), len(mesh.faces), len(faces), float(faces[0] / faces.sum())
    )
    return colour_vertices(mesh, first.color, device=device), statistics


def write_mesh(scenes: Scenes, path: Path, surface: Surface, note: str) -> MeshStatistics:
    """Write the mesh of the first scene, making its folder; see `scene_mesh`."""
    mesh, statistics = scene_mesh(scenes, surface)
    write_atomically(path, mesh_bytes(mesh, path.suffix, note))
    return statistics
