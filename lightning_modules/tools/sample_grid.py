"""A grid of scenes of classes and seeds: its tokens, and sheets of them."""

from dataclasses import dataclass
from itertools import product

import torch
from rich.progress import track
from torch import Tensor

from lightning_modules.drawing import colorize, sheet
from lightning_modules.tools.camera_paths import render_path
from lightning_modules.tools.scene_makers import PriorScenes
from models.autoencoder import TokenAutoencoder
from renderers.cameras import Camera


@dataclass(frozen=True)
class Grid:
    """What to draw: each label, -1 for any class, with each seed."""

    labels: list[int]
    seeds: list[int]

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Label and seed of each scene, label by label."""
        return list(product(self.labels, self.seeds))


def draw_grid(maker: PriorScenes, grid: Grid, batch_size: int) -> Tensor:
    """Tokens (labels * seeds, T) on the prior's device, label by label."""
    drawn = []
    for start in track(range(0, len(grid.cells), batch_size), description="tokens"):
        labels, seeds = zip(*grid.cells[start : start + batch_size], strict=True)
        drawn.append(maker.tokens(labels, seeds))
    return torch.cat(drawn)


@torch.no_grad()
def canonical_sheets(
    model: TokenAutoencoder, tokens: Tensor, rows: int, size: int
) -> tuple[Tensor, Tensor]:
    """Sheets of the canonical images and of the disparity of scenes (rows * columns, T)."""
    rgb, disparity = [], []
    for one in track(tokens.split(1), description="images"):
        scenes = model.decode_tokens(one)
        view = scenes.view(scenes.canonical, size, size)
        rgb.append(view.rgb.cpu())
        disparity.append(colorize(view.disparity).cpu())
    return _tiled(torch.cat(rgb), rows), _tiled(torch.cat(disparity), rows)


@torch.no_grad()
def views_sheet(model: TokenAutoencoder, tokens: Tensor, camera: Camera, size: int) -> Tensor:
    """Sheet with a row a scene (B, T) and a column a camera (V,)."""
    pictures: list[Tensor] = []
    for one in track(tokens.split(1), description="views"):
        pictures += render_path(model.decode_tokens(one), camera, size)
    return _tiled(torch.stack(pictures), len(tokens))


def _tiled(tiles: Tensor, rows: int) -> Tensor:
    """Tiles (rows * columns, 3, H, W), row by row, as a sheet."""
    return sheet(list(tiles.unflatten(0, (rows, -1)).unbind(1)))
