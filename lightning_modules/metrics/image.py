"""Per-image measures of a reconstruction."""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from datamodules.errors import DataError

SSIM_WINDOW = 11
"""Side in pixels of the window of SSIM."""


def psnr(predicted: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log10(1 / mean squared error), in dB.

    Args:
        predicted, target: (B, C, H, W) in [0, 1]; predictions are clipped to that range.

    Returns:
        (B,) float32, at most 100.
    """
    error = (predicted.float().clamp(0, 1) - target.float()).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp(min=1e-10))


def ssim(predicted: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each image, mean over channels and windows of 11 pixels within it.

    Gaussian windows of deviation 1.5, C1 = 0.01^2, C2 = 0.03^2: Wang et al., Image Quality
    Assessment: From Error Visibility to Structural Similarity, 2004, equation 13.

    Args:
        predicted, target: (B, C, H, W) in [0, 1]; predictions are clipped to that range.

    Returns:
        (B,) float32 in [-1, 1].

    Raises:
        DataError: images are smaller than a window.
    """
    height, width = predicted.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        raise DataError(
            f"SSIM needs images of {SSIM_WINDOW} pixels, these have {height} x {width}: take "
            "larger ones, or leave it out."
        )
    # In double: variances are small differences of squares.
    found = structural_similarity_index_measure(
        predicted.double().clamp(0, 1), target.double(), reduction="none", data_range=1.0
    )
    assert isinstance(found, Tensor)  # a pair if whole maps were asked for
    return found.float()


def masked_psnr(predicted: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """`psnr` of each image over its pixels (B, H, W) bool; NaN where there are none."""
    squares = (predicted.float().clamp(0, 1) - target.float()).square().mean(1)  # (B, H, W)
    error = (squares * where).flatten(1).sum(1) / where.flatten(1).sum(1)
    return -10 * torch.log10(error.clamp(min=1e-10))


def masked_iou(predicted: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """Intersection over union (B,) of two masks (B, H, W) bool within pixels of a third; NaN where
    both are empty there."""
    both = (predicted & target & where).flatten(1).sum(1)
    either = ((predicted | target) & where).flatten(1).sum(1)
    return both / either


def masked_correlation(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Pearson correlation of each image over its known pixels.

    Args:
        predicted, target: (B, N) float.
        known: (B, N) bool.

    Returns:
        (B,) float32 in [-1, 1]; NaN where fewer than two pixels are known or one side is constant.
    """
    weight = known.double()
    count = weight.sum(1, keepdim=True)
    a = weight * (predicted.double() - (weight * predicted).sum(1, keepdim=True) / count)
    b = weight * (target.double() - (weight * target).sum(1, keepdim=True) / count)
    spread = (a.square().sum(1) * b.square().sum(1)).sqrt()
    correlation = (a * b).sum(1) / spread
    return torch.where(spread > 1e-12, correlation, torch.nan).float()
