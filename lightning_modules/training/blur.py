"""Gaussian blur, as two matrix products that can be differentiated any number of times."""

import torch
from torch import Tensor

NEGLIGIBLE_BLUR = 0.15
"""Standard deviation in pixels below which the next pixel weighs less than 1e-9."""


def gaussian_matrix(side: int, sigma: float | Tensor, like: Tensor) -> Tensor:
    """Matrix (side, side) that blurs a column of pixels: rows are Gaussians of standard deviation
    `sigma` in pixels, cut at the border and normalised, so that even areas stay as they are.

    For a tensor (..., 1, 1) of standard deviations, a matrix each: (..., side, side).
    """
    place = torch.arange(side, dtype=torch.float32, device=like.device)
    distance = (place[:, None] - place) / sigma
    return torch.softmax(-0.5 * distance.square(), dim=-1).to(like.dtype)


def gaussian_blur(images: Tensor, sigma: float | Tensor) -> Tensor:
    """Images (B, C, H, W) blurred with standard deviation `sigma` in pixels, or, for a tensor (B,),
    each with its own."""
    if isinstance(sigma, Tensor):
        sigma = sigma.clamp(min=NEGLIGIBLE_BLUR)[:, None, None, None]
    elif sigma < NEGLIGIBLE_BLUR:
        return images
    rows = gaussian_matrix(images.shape[-2], sigma, images)
    columns = gaussian_matrix(images.shape[-1], sigma, images)
    return rows @ images @ columns.mT
