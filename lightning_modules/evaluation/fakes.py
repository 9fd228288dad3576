"""Fakes: images of scenes that a generator draws, and all that is measured of them, so that none
needs to be kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError, counted
from lightning_modules.evaluation.feature_network import FeatureNetwork, Features
from lightning_modules.evaluation.flatness import view_flatness
from lightning_modules.evaluation.floaters import mask_fou, scene_fou
from lightning_modules.inference.meshing import Surface
from lightning_modules.inference.scene_maker import SceneDrawer
from models.scenes import Scenes, View

GeometryName = Literal["nfs", "mask_fou", "mesh_fou"]
LACKING: dict[GeometryName, str] = {
    "nfs": "without anything to see",
    "mask_fou": "without a solid pixel",
    "mesh_fou": "without a surface",
}
"""What scenes are that have no such figure."""

FOU_SURFACE = Surface(resolution=64)
"""Of which the FOU of meshes is taken by default."""


@dataclass(frozen=True)
class NovelViews:
    """Views turned from the canonical one by up to so many radians, around and up and down."""

    yaw: float
    pitch: float


class Fakes(NamedTuple):
    """Images (B, 3, H, W) in [0, 1], figures (B,) float64 of their geometry by name, and images
    from novel views, None where none are asked for."""

    images: Tensor
    geometry: dict[GeometryName, Tensor]
    novel: Tensor | None


@torch.no_grad()
def draw_fakes(
    drawer: SceneDrawer,
    labels: Sequence[int],
    seeds: Sequence[int],
    geometry: Collection[GeometryName] = (),
    surface: Surface = FOU_SURFACE,
    novel: NovelViews | None = None,
) -> Fakes:
    """Fakes of labels, -1 any class, and seeds, at the drawer's resolution and from its cameras;
    geometry: see `measure_geometry`.

    Equal seeds draw equal images.
    """
    scenes, side = drawer.generate(labels, seeds), drawer.resolution
    view = scenes.view(drawer.cameras(scenes, labels, seeds), side, side)
    found = {name: measure_geometry(name, scenes, view, surface) for name in geometry}
    if novel is None:
        return Fakes(view.rgb, found, None)
    turned = drawer.novel_cameras(seeds, novel.yaw, novel.pitch).to(scenes.planes.device)
    return Fakes(view.rgb, found, scenes.view(turned, side, side).rgb)


def measure_geometry(
    name: GeometryName, scenes: Scenes, view: View, surface: Surface = FOU_SURFACE
) -> Tensor:
    """A figure (B,) float64 of scenes and a view of them, NaN where there is nothing to see: nfs,
    see `view_flatness`, mask_fou, or mesh_fou of a surface.

    Raises:
        DataError: FOU of scenes that do not end before an even background.
    """
    if name == "nfs":
        return view_flatness(view)
    if scenes.space.background is None:
        raise DataError(f"{name} is of objects alone, these scenes go on: leave it out.")
    return mask_fou(view.opacity) if name == "mask_fou" else scene_fou(scenes, surface)


@dataclass(frozen=True)
class FakeMeasures:
    """Features of N fakes, on the CPU, and of their geometry what was asked for, (N,) by name;
    novel: features of their novel views, None where none were asked for."""

    features: Features
    geometry: Mapping[GeometryName, Tensor] = field(default_factory=dict)
    novel: Features | None = None

    def score(self, name: GeometryName) -> float:
        """The mean of a figure over the fakes that show anything.

        Raises:
            DataError: none does.
        """
        if self.geometry[name].isnan().all():
            raise DataError(f"No image shows anything: leave {name} out of --metrics.")
        return float(self.geometry[name].nanmean())

    def left_out(self) -> dict[str, str]:
        """How many fakes a mean leaves out and why, by the names of those that leave out any."""
        counts = {name: int(figures.isnan().sum()) for name, figures in self.geometry.items()}
        return {
            name: f"{counted(count, 'scene')} {LACKING[name]}"
            for name, count in counts.items()
            if count
        }


def measure_fakes(
    drawer: SceneDrawer,
    labels: Sequence[int],
    batch_size: int,
    network: FeatureNetwork | None,
    geometry: Collection[GeometryName] = (),
    surface: Surface = FOU_SURFACE,
    novel: NovelViews | None = None,
) -> FakeMeasures:
    """Draw one image a label, with seeds 0, 1, and so on, and measure them, with a progress bar;
    without a network their features are empty.

    Raises:
        DataError: there is no label, or batch_size is below 1.
    """
    if not labels or batch_size < 1:
        raise DataError(
            f"samples is {len(labels)}, batch_size {batch_size}: both must be at least 1."
        )
    features, figures, turned = [], [], []
    for start in track(range(0, len(labels), batch_size), description="generated images"):
        some = labels[start : start + batch_size]
        seeds = range(start, start + len(some))
        fakes = draw_fakes(drawer, some, seeds, geometry, surface, novel)
        features.append(_features(network, fakes.images))
        figures.append(fakes.geometry)
        turned += [] if fakes.novel is None else [_features(network, fakes.novel)]
    together = {name: torch.cat([found[name] for found in figures]) for name in geometry}
    return FakeMeasures(Features.cat(features), together, Features.cat(turned) if turned else None)


def _features(network: FeatureNetwork | None, images: Tensor) -> Features:
    return Features.none(len(images)) if network is None else network(images).cpu()
