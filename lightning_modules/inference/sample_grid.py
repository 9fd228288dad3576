"""A grid of scenes of classes and seeds, and sheets of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from rich.progress import track
from torch import Tensor

from lightning_modules.inference.camera_paths import render_path
from lightning_modules.pictures.drawing import colored_disparity, sheet
from models.scenes import Scenes
from renderers.cameras import Camera

SceneAt = Callable[[int], Scenes]
"""Makes the scene (1) of a cell of a grid."""


@dataclass(frozen=True)
class Grid:
    """Scenes to draw: each label, -1 for any class, with each seed."""

    labels: list[int]
    seeds: list[int]

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Label and seed of each scene, label by label."""
        return list(product(self.labels, self.seeds))

    @property
    def firsts(self) -> list[int]:
        """The cell of each label's first seed."""
        return list(range(0, len(self.cells), len(self.seeds)))


@torch.no_grad()
def canonical_sheets(scene_at: SceneAt, grid: Grid, size: int) -> tuple[Tensor, Tensor]:
    """Sheets of the canonical images and of the disparity of a grid, a row a label."""
    rgb, disparity = [], []
    for cell in track(range(len(grid.cells)), description="images"):
        scenes = scene_at(cell)
        view = scenes.view(scenes.canonical, size, size)
        rgb.append(view.rgb.cpu())
        disparity.append(colored_disparity(view).cpu())
    rows = len(grid.labels)
    return _tiled(torch.cat(rgb), rows), _tiled(torch.cat(disparity), rows)


@torch.no_grad()
def views_sheet(scene_at: SceneAt, cells: Sequence[int], camera: Camera, size: int) -> Tensor:
    """Sheet with a row a cell and a column a camera (V,)."""
    pictures: list[Tensor] = []
    for cell in track(cells, description="views"):
        pictures += render_path(scene_at(cell), camera, size)
    return _tiled(torch.stack(pictures), len(cells))


def _tiled(tiles: Tensor, rows: int) -> Tensor:
    """Tiles (rows * columns, 3, H, W), row by row, as a sheet."""
    return sheet(list(tiles.unflatten(0, (rows, -1)).unbind(1)))
