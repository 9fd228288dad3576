"""FID, KID, Inception Score, precision and recall of features, computed by torch-fidelity; and how
diverse they are within classes."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)
from torch_fidelity.metric_isc import (
    KEY_METRIC_ISC_MEAN,
    KEY_METRIC_ISC_STD,
    isc_features_to_metric,
)
from torch_fidelity.metric_kid import (
    KEY_METRIC_KID_MEAN,
    KEY_METRIC_KID_STD,
    kid_features_to_metric,
)
from torch_fidelity.metric_prc import (
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    prc_features_to_metric,
)

from datamodules.errors import DataError


@dataclass(frozen=True)
class Estimate:
    """Mean and standard deviation over subsets, or splits, of the samples."""

    mean: float
    std: float


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of Gaussians with the moments of features (N, F) and (M, F).

    |mu - mu'|^2 + tr(S + S' - 2 (S S')^(1/2)), arXiv 1706.08500, equation 6. Biased upwards, the
    more so the fewer the samples: compare values of equal counts only.

    Raises:
        DataError: there are fewer than two samples, or the widths differ.
    """
    _check(real, fake, least=2)
    real_moments, fake_moments = (_moments(of) for of in (real, fake))
    found = fid_statistics_to_metric(real_moments, fake_moments, verbose=False)
    return float(found[KEY_METRIC_FID])


def kernel_distance(
    real: Tensor, fake: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> Estimate:
    """Squared maximum mean discrepancy of features (N, F) and (M, F), unbiased, so about 0 and at
    times below for equal distributions.

    Kernel (x . y / F + 1)^3, averaged over random subsets, arXiv 1801.01401, section 4.

    Raises:
        DataError: there are fewer samples than in a subset, or the widths differ.
    """
    if subsets < 1 or subset_size < 2:
        raise DataError(
            f"kid_subsets is {subsets}, kid_subset_size {subset_size}: they must be at least 1 and "
            "2."
        )
    _check(real, fake, subset_size, f" for subsets of {subset_size}, or lower --kid_subset_size")
    found = kid_features_to_metric(
        real.double(),
        fake.double(),
        kid_subsets=subsets,
        kid_subset_size=subset_size,
        rng_seed=seed,
        verbose=False,
    )
    return Estimate(found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD])


def inception_score(logits: Tensor, splits: int = 10, seed: int = 0) -> Estimate:
    """exp of the mean over images of KL(p(y|x) || p(y)), over splits of logits (N, C) in random
    order; from 1 to C. arXiv 1606.03498, section 4.

    Raises:
        DataError: there are fewer samples than splits.
    """
    if splits < 1 or len(logits) < splits:
        raise DataError(
            f"is_splits is {splits}, it must be from 1 to the number of samples, {len(logits)}."
        )
    found = isc_features_to_metric(logits.cpu(), splits, shuffle=True, rng_seed=seed)
    return Estimate(found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD])


@dataclass(frozen=True)
class Overlap:
    """Share of the fakes that lie where real images are, and of the real ones that lie where fakes
    are."""

    precision: float
    recall: float


def precision_recall(real: Tensor, fake: Tensor, neighbours: int = 3) -> Overlap:
    """Overlap of features (N, F) and (M, F): images of a set are taken to be wherever one is within
    the distance of one of its images from that image's `neighbours`-th nearest of the set.
    arXiv 1904.06991, equations 1 and 2.

    Raises:
        DataError: there are too few samples for so many neighbours, or the widths differ.
    """
    _check(real, fake, neighbours + 1, f" for {neighbours} neighbours, or lower --neighbours")
    found = prc_features_to_metric(
        fake.double(),
        real.double(),
        prc_neighborhood=neighbours,
        prc_batch_size=10_000,
        save_cpu_ram=True,
        verbose=False,
    )
    return Overlap(found[KEY_METRIC_PRECISION], found[KEY_METRIC_RECALL])


def class_diversity(vectors: Tensor, labels: Tensor) -> float:
    """Unbiased root mean square distance of features (N, F) from the mean of their class (N,); NaN
    if no class has two."""
    classes, index = labels.unique(return_inverse=True)
    values = vectors.double()
    sums = values.new_zeros(len(classes), values.shape[1]).index_add_(0, index, values)
    deviation = values - (sums / index.bincount()[:, None])[index]
    free = len(values) - len(classes)
    return float((deviation.square().sum() / free).sqrt()) if free else float("nan")


def _moments(features: Tensor) -> dict[str, np.ndarray]:
    # In double: of thousands of float32 samples the mean would lose digits.
    moments: dict[str, np.ndarray] = fid_features_to_statistics(features.double().cpu())
    return moments


def _check(real: Tensor, fake: Tensor, least: int, purpose: str = "") -> None:
    if real.shape[1] != fake.shape[1]:
        raise DataError(
            f"Real features have width {real.shape[1]}, fake ones {fake.shape[1]}: use one network."
        )
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < least:
            raise DataError(
                f"There are {len(features)} {name} images: give at least {least}{purpose}."
            )
