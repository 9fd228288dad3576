"""KID of a generator while it is trained."""

import torch
from torch import Tensor, tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from datamodules.augment import Framing
from datamodules.modalities import TRAIN
from lightning_modules.evaluation.distances import kernel_distance
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.label_plan import label_plan
from lightning_modules.evaluation.networks import open_network
from lightning_modules.evaluation.real_features import RealFeatures, real_features
from lightning_modules.evaluation.real_images import RealImages

SUBSETS, SUBSET_SIZE = 20, 500


class GeneratorScore(Metric):
    """Accumulates features of fakes and compares them with those of real images.

    A torchmetrics metric: `update` with images of every process, `compute` on every process,
    which gathers them, `reset` before the next time. Neither network nor features are part of the
    state of a module that holds it.

    Args:
        network: measures the images.
        real: of the images to compare with, at the resolution of the fakes.
        images: fakes to draw over all processes.
        gather: whether all processes take part; False where only one draws and computes.
    """

    full_state_update = False
    vectors: list[Tensor]

    def __init__(
        self, network: FeatureNetwork, real: RealFeatures, images: int = 1000, gather: bool = True
    ) -> None:
        super().__init__(sync_on_compute=gather)
        self.network, self.real, self.images = network, real, images
        self.add_state("vectors", [], dist_reduce_fx="cat")

    @property
    def label(self) -> str:
        """Name to log it under, e.g. kid/classifier-shapeworld-1a2b3c4d."""
        return f"kid/{self.network.name}"

    def wanted(self, classes: int, rank: int = 0, world: int = 1) -> list[tuple[int, int]]:
        """Label and seed of each fake that process `rank` of `world` is to draw, the labels in the
        proportions of the real ones; classes: of the generator, 0 for none."""
        labels = label_plan(self.real.labels, self.images, classes)
        return list(zip(labels, range(self.images), strict=True))[rank::world]

    def update(self, images: Tensor) -> None:
        """Take in fakes (B, 3, H, W) in [0, 1]."""
        self.vectors.append(self.network.to(images.device)(images).vectors)

    def compute(self) -> Tensor:
        """KID, unbiased: about 0, and at times below, where fakes are like real images.

        Raises:
            DataError: there are fewer than two fakes.
        """
        fake, real = dim_zero_cat(self.vectors).cpu(), self.real.features.vectors
        size = max(2, min(SUBSET_SIZE, len(real), len(fake)))
        return tensor(kernel_distance(real, fake, SUBSETS, size).mean)


def open_score(
    features: str,
    root: str,
    resolution: int,
    images: int = 1000,
    split: str = TRAIN,
    cache: str | None = None,
    features_weights: str | None = None,
    device: torch.device | str = "cpu",
    num_workers: int = 0,
    framing: Framing = Framing(),
) -> GeneratorScore:
    """The score of generators of a data set, its real features from the cache or computed now.

    Of a distributed run one process should call it first (`prepare_data`), so that the others find
    the features in the cache.

    Args:
        features, features_weights: network and the file of its weights; see `open_network`.
        root: shards of the data set.
        resolution: side of the fakes in pixels, at most that of the shards.
        images: fakes to draw.
        split: to compare with.
        cache: see `real_features`.
        device: where real features are computed.
        num_workers: processes that decode real images.
        framing: how real images are cut.

    Raises:
        FileNotFoundError, DataError: one sentence with what is missing, and the knob.
    """
    network = open_network(features, features_weights).to(device)
    photographs = RealImages.open(root, split, resolution, framing=framing)
    real = real_features(network, photographs, cache, num_workers)
    return GeneratorScore(network, real, images)
