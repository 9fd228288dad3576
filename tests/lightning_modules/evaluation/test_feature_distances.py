import math

import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.evaluation.distances import (
    class_diversity,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)


def gaussian(count: int, shift: float = 0.0, seed: int = 0, width: int = 6) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=rng) + shift


def test_the_frechet_distance_of_a_moved_set_is_the_square_of_the_move() -> None:
    real = gaussian(200)
    move = torch.linspace(0, 2, 6)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    expected = float(move.square().sum())
    assert frechet_distance(real, real + move) == pytest.approx(expected, rel=1e-5)


def test_the_frechet_distance_of_scaled_axes_compares_standard_deviations() -> None:
    real = gaussian(300)
    real = real - real.mean(0)
    factors = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])
    # Covariances S and D S D; where S is diagonal the distance is sum s_i^2 (d_i - 1)^2.
    whitened = real @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(real.T))).T
    expected = float((factors - 1).square().sum())
    assert frechet_distance(whitened, whitened * factors) == pytest.approx(expected, rel=1e-4)


def test_the_kernel_distance_is_the_unbiased_estimate_of_the_paper() -> None:
    real, fake = gaussian(8).double(), gaussian(8, shift=0.5, seed=1).double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / 6 + 1) ** 3

    def off_diagonal(k: Tensor) -> Tensor:
        return (k.sum() - k.diagonal().sum()) / (8 * 7)

    expected = off_diagonal(kernel(real, real)) + off_diagonal(kernel(fake, fake))
    expected = expected - 2 * kernel(real, fake).mean()
    found = kernel_distance(real.float(), fake.float(), subsets=2, subset_size=8)
    assert found.mean == pytest.approx(float(expected), rel=1e-6)
    assert found.std == pytest.approx(0, abs=1e-9)  # every subset is the whole set


def test_the_kernel_distance_grows_with_a_shift() -> None:
    real = gaussian(400)
    drifts = [
        kernel_distance(real, gaussian(400, shift, seed=1), 20, 100).mean
        for shift in (0.0, 0.3, 0.6)
    ]
    assert abs(drifts[0]) < 0.05 < drifts[1] < drifts[2]


def test_subsets_are_a_function_of_the_seed() -> None:
    real, fake = gaussian(60), gaussian(60, seed=1)
    first, again, other = (kernel_distance(real, fake, 5, 20, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_the_inception_score_is_the_number_of_classes_that_are_told_apart() -> None:
    certain = 50 * torch.eye(4).repeat(25, 1)
    assert inception_score(certain, splits=1).mean == pytest.approx(4)
    assert inception_score(torch.zeros(100, 4)).mean == pytest.approx(1)
    doubtful = torch.tensor([[0.75, 0.25], [0.25, 0.75]]).log().repeat(10, 1)
    expected = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert inception_score(doubtful, splits=1).mean == pytest.approx(expected)


def test_too_few_samples_are_named_with_the_knob() -> None:
    ten, one = gaussian(10), gaussian(1)
    with pytest.raises(DataError, match="are 1 fake images: give at least 2"):
        frechet_distance(ten, one)
    with pytest.raises(DataError, match=r"10 real images.*least 11.*or lower --kid_subset_size"):
        kernel_distance(ten, gaussian(20), subset_size=11)
    with pytest.raises(DataError, match="kid_subsets is 0"):
        kernel_distance(ten, ten, subsets=0)
    with pytest.raises(DataError, match=r"is_splits is 10, .* number of samples, 1"):
        inception_score(one)


def test_features_of_two_networks_are_not_compared() -> None:
    with pytest.raises(DataError, match="Real features have width 6, fake ones 3: use one"):
        frechet_distance(gaussian(10), gaussian(10, width=3))


def line(*places: float) -> Tensor:
    """Features of width 1."""
    return torch.tensor(places)[:, None]


def test_precision_and_recall_count_those_within_reach_of_a_neighbour() -> None:
    """Each real image reaches 1, to its neighbours; fakes reach as far as their nearest one."""
    real = line(0, 1, 2, 3)
    overlap = precision_recall(real, line(0.5, 3.9, 4.1, 50), neighbours=1)
    assert overlap.precision == 0.5  # 0.5 and 3.9 are within 1 of a real image
    # 0.5 reaches 3.4, 3.9 and 4.1 reach 0.2, 50 reaches 45.9: all but none is within 3.4 of 0.5.
    assert overlap.recall == 1
    overlap = precision_recall(real, line(0.0, 0.1, 0.2, 0.3), neighbours=1)
    assert (overlap.precision, overlap.recall) == (1, 0.25)


def test_one_set_covers_itself() -> None:
    real = gaussian(50)
    overlap = precision_recall(real, real)
    assert (overlap.precision, overlap.recall) == (1, 1)
    overlap = precision_recall(real, real + 100)
    assert (overlap.precision, overlap.recall) == (0, 0)


def test_a_collapsed_set_is_precise_and_covers_little() -> None:
    real = gaussian(200)
    fake = real[:1] + 0.01 * gaussian(200, seed=1)
    overlap = precision_recall(real, fake)
    assert overlap.precision == 1
    assert overlap.recall < 0.05


def test_too_few_images_for_so_many_neighbours_are_refused() -> None:
    with pytest.raises(
        DataError, match="4 fake images: give at least 6 for 5 neighbours, or lower"
    ):
        precision_recall(gaussian(20), gaussian(4), neighbours=5)


def test_diversity_is_the_deviation_from_the_mean_of_the_class() -> None:
    values = torch.cat([line(0, 2), line(10, 14), line(99)])
    labels = torch.tensor([0, 0, 1, 1, 2])
    # Squares 1 + 1 + 4 + 4 over five values less three means.
    assert class_diversity(values, labels) == pytest.approx(math.sqrt(5))
    assert class_diversity(3 * values, labels) == pytest.approx(3 * math.sqrt(5))
    assert math.isnan(class_diversity(values[::2], labels[::2]))


def test_diversity_does_not_depend_on_the_number_of_images() -> None:
    labels = torch.arange(3000) % 3
    few = class_diversity(gaussian(3000)[:30], labels[:30])
    assert few == pytest.approx(class_diversity(gaussian(3000), labels), rel=0.15)
