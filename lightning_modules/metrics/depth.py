"""Measures of depth that is true up to a factor and an offset of it or of its disparity."""

import torch
from torch import Tensor

LEAST_DISPARITY = 1e-3
"""Of what is aligned, as a share of the largest that is given: depth must be finite."""


def aligned_disparity(predicted: Tensor, given: Tensor, known: Tensor) -> Tensor:
    """Predicted disparity (B, N) of each image with the factor and the offset that bring it nearest
    to the given one (B, N) over its known pixels (B, N) bool, by least squares.

    The factor may be negative, then the depth was inverted.

    >>> known = torch.ones(1, 3, dtype=torch.bool)
    >>> aligned_disparity(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[1.0, 3.0, 5.0]]), known)
    tensor([[1., 3., 5.]])
    """
    weight = known.double()
    count = weight.sum(1, keepdim=True).clamp(min=1)
    a, b = predicted.double(), torch.where(known, given, 0.0).double()
    a_mean, b_mean = ((weight * x).sum(1, keepdim=True) / count for x in (a, b))
    covariance = (weight * (a - a_mean) * (b - b_mean)).sum(1, keepdim=True)
    variance = (weight * (a - a_mean).square()).sum(1, keepdim=True)
    factor = covariance / variance.clamp(min=1e-12)
    return (factor * (a - a_mean) + b_mean).float()


def depth_accuracy(disparity: Tensor, given: Tensor, known: Tensor, ratio: float = 1.25) -> Tensor:
    """Share (B,) of known pixels whose depth is within a ratio of the given one, delta < 1.25;
    NaN where none is known.

    Args:
        disparity: (B, N) in the scale of `given`; what is not above 0 is put very far away.
        given: (B, N) disparity > 0 where it is known.
        known: (B, N) bool.
    """
    largest = torch.where(known, given, 0.0).amax(1, keepdim=True)
    found = disparity.maximum(LEAST_DISPARITY * largest)
    truth = torch.where(known, given, 1.0)
    within = (torch.maximum(found / truth, truth / found) < ratio) & known
    return within.sum(1) / known.sum(1)


def normalised_depth_error(predicted: Tensor, given: Tensor, known: Tensor) -> Tensor:
    """Mean squared error of each image's depth after both maps were brought to mean 0 and variance
    1 over its known pixels, as EG3D (arXiv 2112.07945) measures the accuracy of its depth against
    that of another network. It is 2 - 2 r of Pearson's correlation r.

    Args:
        predicted, given: (B, N), both of depth or both of disparity.
        known: (B, N) bool.

    Returns:
        (B,) float32 in [0, 4]: 0 for equal maps up to a factor above 0 and an offset, 2 for
        unrelated and 4 for inverted ones; NaN where one side is constant or nothing is known.
    """
    a, b = _standardised(predicted, known), _standardised(given, known)
    return ((a - b).square().sum(1) / known.sum(1)).float()


def _standardised(values: Tensor, known: Tensor) -> Tensor:
    """Values (B, N) with mean 0 and variance 1 over the known, 0 elsewhere; NaN if constant."""
    found = torch.where(known, values, 0.0).double()
    count = known.sum(1, keepdim=True)
    deviation = torch.where(known, found - found.sum(1, keepdim=True) / count, 0.0)
    least, most = (torch.where(known, values, end) for end in (torch.inf, -torch.inf))
    varies = least.amin(1, keepdim=True) < most.amax(1, keepdim=True)
    scale = (deviation.square().sum(1, keepdim=True) / count).sqrt()
    return torch.where(varies, deviation / scale, torch.nan)
