"""Losses of networks that see depth in one photograph, up to a factor and an offset.

Predicted and given disparity are each brought to median 0 and mean distance 1 from it (MiDaS,
arXiv 1907.01341, equations 5 and 6), so that an inverted depth is wrong, where a least-squares fit
would explain it by a negative factor.
"""

import torch
from torch import Tensor

SCALES = 4
"""Of the gradients, each half as fine as the one before."""


def normalized_disparity(disparity: Tensor, known: Tensor) -> Tensor:
    """Disparity (B, H, W) of each image with median 0 and mean distance 1 from it over its known
    pixels (B, H, W) bool; 0 where nothing is known of an image, or all is the same.

    >>> disparity = torch.tensor([[[1.0, 2.0, 4.0]]])
    >>> normalized_disparity(disparity, torch.ones(1, 1, 3, dtype=torch.bool)).tolist()
    [[[-1.0, 0.0, 2.0]]]
    """
    counted = torch.where(known, disparity.float(), torch.nan).flatten(1)
    shifted = disparity.float() - counted.nanmedian(1).values[:, None, None]
    distances = torch.where(known, shifted.abs(), 0.0).flatten(1).sum(1)
    scale = (distances / known.flatten(1).sum(1).clamp(min=1))[:, None, None]
    usable = (scale > 1e-6).expand_as(shifted)
    return torch.where(usable, shifted / scale.clamp(min=1e-6), 0.0)


def disparity_loss(predicted: Tensor, given: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels of the absolute difference of two maps (B, H, W) that
    `normalized_disparity` made."""
    difference = torch.where(known, predicted - given, 0.0)
    return difference.abs().sum() / known.sum().clamp(min=1)


def edge_loss(predicted: Tensor, given: Tensor, known: Tensor) -> Tensor:
    """Mean absolute difference of the gradients of two normalised maps (B, H, W), summed over
    scales: edges lie where they are given (MiDaS, equation 11)."""
    total = predicted.new_zeros(())
    difference = torch.where(known, predicted - given, 0.0)
    for level in range(SCALES):
        step = 2**level
        d, k = difference[:, ::step, ::step], known[:, ::step, ::step]
        for axis in (1, 2):
            both = k.narrow(axis, 1, k.shape[axis] - 1) & k.narrow(axis, 0, k.shape[axis] - 1)
            slope = torch.where(both, d.diff(dim=axis), 0.0).abs().sum()
            total = total + slope / both.sum().clamp(min=1)
    return total
