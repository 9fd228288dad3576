"""Figures are those that torch-fidelity computes by itself with the registered network."""

import pytest
import torch
from tiny_classes import SIDE
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from lightning_modules.evaluation.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
)
from lightning_modules.evaluation.networks import open_network


class Bytes(Dataset[Tensor]):
    """Random images, darker the larger `power`."""

    def __init__(self, seed: int, power: float) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.images = (255 * torch.rand(80, 3, SIDE, SIDE, generator=rng) ** power).byte()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def test_figures_equal_torch_fidelitys(classifier: str) -> None:
    fake, real = Bytes(0, 1.0), Bytes(1, 1.3)
    network = open_network(classifier)
    expected = calculate_metrics(
        input1=fake,
        input2=real,
        isc=True,
        fid=True,
        kid=True,
        kid_subsets=5,
        kid_subset_size=40,
        rng_seed=3,
        feature_extractor=network.name,
        feature_extractor_weights_path=classifier,
        cuda=False,
        batch_size=40,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
    )
    seen, compared = network(fake.images), network(real.images)
    frechet = frechet_distance(compared.vectors, seen.vectors)
    assert frechet > 1e-3
    assert frechet == pytest.approx(expected["frechet_inception_distance"], rel=1e-3)
    score = inception_score(seen.logits, seed=3)
    assert score.mean == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    # The first set takes the first numbers: torch-fidelity's is that of the fakes.
    distance = kernel_distance(seen.vectors, compared.vectors, 5, 40, seed=3)
    assert distance.mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-3)
    assert distance.std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-2)
