"""A grid of scenes of classes and seeds: its tokens, and sheets of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from rich.progress import track
from torch import Tensor

from datamodules.modalities import TIMES_OF_DAY, TimeOfDay
from lightning_modules.drawing import colorize, sheet
from lightning_modules.tools.camera_paths import render_path
from models.autoencoder import TokenAutoencoder
from models.generator import TokenGenerator
from models.priors.conditions import Conditions
from models.priors.sampling import SampleNoise, TokenSampling
from renderers.cameras import Camera


@dataclass(frozen=True)
class Grid:
    """What to draw: each label with each seed, and what else conditions all of them.

    labels: -1 for any class; size: length, width and height of the object's box; semantics: a
    feature vector (F,) float32 on the CPU.
    """

    labels: list[int]
    seeds: list[int]
    size: tuple[float, float, float] | None = None
    time_of_day: TimeOfDay | None = None
    semantics: Tensor | None = None

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Label and seed of each scene, label by label."""
        return list(product(self.labels, self.seeds))

    def conditions(self, labels: Sequence[int], device: torch.device | str) -> Conditions:
        """Of scenes of these labels (B)."""
        label, time, count = torch.tensor(labels, device=device), self.time_of_day, len(labels)
        size = None if self.size is None else torch.tensor([self.size] * count, device=device)
        hour = None if time is None else torch.full_like(label, TIMES_OF_DAY.index(time))
        vector = None if self.semantics is None else self.semantics.to(device).repeat(count, 1)
        return Conditions.of(label, size, hour, vector)


def draw_grid(
    generator: TokenGenerator,
    grid: Grid,
    sampling: TokenSampling,
    batch_size: int,
    dtype: torch.dtype,
) -> Tensor:
    """Tokens (labels * seeds, T) on the prior's device, label by label."""
    device, cells = generator.prior.head.weight.device, grid.cells
    drawn = []
    for start in track(range(0, len(cells), batch_size), description="tokens"):
        labels, seeds = zip(*cells[start : start + batch_size], strict=True)
        conditions, noise = grid.conditions(labels, device), SampleNoise(seeds, device)
        drawn.append(generator.tokens(conditions, noise, sampling, dtype=dtype))
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
