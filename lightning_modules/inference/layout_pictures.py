"""Pictures and meshes of what a layout has put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError, Failures
from lightning_modules.inference.layout import LayoutCamera
from lightning_modules.inference.meshing import MeshStatistics, Surface, scene_mesh
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import colored_disparity, sheet
from models.composition import Composition, PlacedObject
from models.scenes import View
from renderers.mesh import MeshNode
from renderers.renderer import POINTS_PER_CHUNK
from renderers.trajectories import orbit


@dataclass(frozen=True)
class Shoot:
    """Takes pictures of a composition from a camera that goes around it.

    background: grey level, or an image (1, 3, H, W) that stays as it is in every picture; size:
    side of the pictures in pixels.
    """

    composition: Composition
    camera: LayoutCamera
    background: float | Tensor
    size: int
    device: torch.device | str = "cpu"
    points_per_chunk: int = POINTS_PER_CHUNK

    def film(self, frames: int) -> list[Tensor]:
        """Pictures (3, size, size) on the CPU of one turn, with a progress bar."""
        views = self._views(orbit(frames)[0])
        return [view.rgb[0].cpu() for view in track(views, "video", frames)]

    def sheet(self, count: int) -> Tensor:
        """A picture (3, H, W): image above disparity from `count` sides, with their names."""
        yaws = orbit(count)[0]
        columns = [
            torch.cat([view.rgb, colored_disparity(view)]).cpu()
            for view in track(self._views(yaws), "sheet", count)
        ]
        turns = [f"{turn:.0f} degrees" for turn in yaws.rad2deg().tolist()]
        return labelled(sheet(columns), ["image", "disparity"], turns)

    def _views(self, yaws: Tensor) -> Iterator[View]:
        cameras = self.camera.around(self.composition.corners(), yaws).to(self.device)
        for index in range(len(yaws)):
            yield self.composition.view(
                cameras[index : index + 1],
                self.size,
                self.size,
                self.background,
                self.points_per_chunk,
            )


def mesh_nodes(
    objects: Sequence[PlacedObject], surface: Surface, failures: Failures
) -> list[tuple[MeshNode, MeshStatistics]]:
    """The mesh of each object in its own frame, how it is placed, and its size; objects without a
    surface are left out, and `failures` keeps which."""
    nodes = []
    for one in track(objects, "mesh"):
        with failures.kept():
            try:
                mesh, found = scene_mesh(one.scene, surface)
            except ValueError as error:
                raise DataError(
                    f"No mesh for {one.name}: {error} (--level, --quantile)."
                ) from error
            nodes.append((MeshNode(one.name, mesh, one.placement.matrix().numpy()), found))
    return nodes
