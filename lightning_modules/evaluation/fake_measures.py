"""What is measured of each fake image, so that no images need to be kept."""

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.fakes import FakeImages
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.features import Features
from lightning_modules.evaluation.flatness import non_flatness
from lightning_modules.evaluation.image_source import Geometry


@dataclass(frozen=True)
class Flatness:
    """Non-flatness (N,) of images, and what it was computed of: `depth` or `disparity`."""

    scores: Tensor
    quantity: str

    @property
    def mean(self) -> float:
        """Over the images that show anything.

        Raises:
            DataError: none does.
        """
        if self.scores.isnan().all():
            raise DataError("No image shows anything: leave nfs out of --metrics.")
        return float(self.scores.nanmean())


@dataclass(frozen=True)
class FakeMeasures:
    """Features of N fakes, on the CPU, and their flatness if it was asked for."""

    features: Features
    flatness: Flatness | None


def measure_fakes(fakes: FakeImages, network: FeatureNetwork, flatness: bool) -> FakeMeasures:
    """Draw the fakes and measure them.

    Raises:
        DataError: flatness is wanted of a generator that knows no geometry.
    """
    features, scores, quantity = [], [], ""
    for drawn in fakes:
        features.append(network(drawn.rgb).cpu())
        if not flatness:
            continue
        if drawn.geometry is None:
            raise DataError(f"{fakes.source.name} draws no depth: leave nfs out of --metrics.")
        scores.append(image_flatness(drawn.geometry))
        quantity = drawn.geometry.quantity
    found = Flatness(torch.cat(scores), quantity) if scores else None
    return FakeMeasures(Features.cat(features), found)


def image_flatness(geometry: Geometry) -> Tensor:
    """Non-flatness (B,) of images, on the CPU, NaN where one shows nothing."""
    return non_flatness(geometry.values, geometry.low, geometry.high, geometry.opacity).cpu()
