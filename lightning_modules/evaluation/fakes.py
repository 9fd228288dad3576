"""Fakes: images of scenes that a generator draws, and all that is measured of them, so that none
needs to be kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.feature_network import FeatureNetwork, Features
from lightning_modules.evaluation.flatness import view_flatness
from lightning_modules.inference.scene_maker import SceneDrawer


@torch.no_grad()
def draw_fakes(
    drawer: SceneDrawer, labels: Sequence[int], seeds: Sequence[int], flatness: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Images (B, 3, H, W) in [0, 1] of labels, -1 any class, and seeds, at the drawer's resolution
    and from its cameras; and, if asked for, their non-flatness (B,), see `view_flatness`.

    Equal seeds draw equal images.
    """
    scenes = drawer.generate(labels, seeds)
    camera = drawer.cameras(scenes, labels, seeds)
    view = scenes.view(camera, drawer.resolution, drawer.resolution)
    return view.rgb, view_flatness(view) if flatness else None


@dataclass(frozen=True)
class FakeMeasures:
    """Features of N fakes, on the CPU, and their non-flatness (N,) if it was asked for."""

    features: Features
    non_flatness: Tensor | None

    @property
    def flatness_score(self) -> float | None:
        """Mean non-flatness of the images that show anything, None if it was not asked for.

        Raises:
            DataError: none does.
        """
        if self.non_flatness is None:
            return None
        if self.non_flatness.isnan().all():
            raise DataError("No image shows anything: leave nfs out of --metrics.")
        return float(self.non_flatness.nanmean())


def measure_fakes(
    drawer: SceneDrawer,
    labels: Sequence[int],
    batch_size: int,
    network: FeatureNetwork | None,
    flatness: bool,
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
    features, scores = [], []
    for start in track(range(0, len(labels), batch_size), description="generated images"):
        some = labels[start : start + batch_size]
        seeds = range(start, start + len(some))
        images, non_flatness = draw_fakes(drawer, some, seeds, flatness)
        features.append(Features.none(len(images)) if network is None else network(images).cpu())
        if non_flatness is not None:
            scores.append(non_flatness)
    return FakeMeasures(Features.cat(features), torch.cat(scores) if scores else None)
