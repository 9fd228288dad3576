"""Gaussian blur as two matrix products, of any width and differentiable any number of times."""

import torch
from torch import Tensor

NEGLIGIBLE = 0.15
"""Standard deviation in pixels below which the next pixel weighs less than 1e-9."""


def gaussian_matrix(side: int, sigma: float, like: Tensor) -> Tensor:
    """Matrix (side, side) that blurs a column of pixels: rows are Gaussians of standard deviation
    `sigma` in pixels, cut at the border and normalised, so that even areas stay as they are."""
    place = torch.arange(side, dtype=torch.float32, device=like.device)
    distance = (place[:, None] - place) / sigma
    return torch.softmax(-0.5 * distance.square(), dim=1).to(like.dtype)


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Images (B, C, H, W) blurred with standard deviation `sigma` in pixels."""
    if sigma < NEGLIGIBLE:
        return images
    rows = gaussian_matrix(images.shape[-2], sigma, images)
    columns = gaussian_matrix(images.shape[-1], sigma, images)
    return rows @ images @ columns.mT
