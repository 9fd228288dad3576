"""Anti-aliased up- and down-sampling with a binomial filter."""

import torch
import torch.nn.functional as F
from torch import Tensor

BINOMIAL = (1.0, 3.0, 3.0, 1.0)
"""The separable filter [1, 3, 3, 1] of StyleGAN2 (arXiv 1912.04958)."""


def binomial_kernel(channels: int, like: Tensor) -> Tensor:
    """Depthwise kernel (C, 1, 4, 4) that sums to one, in the dtype and on the device of `like`."""
    taps = torch.tensor(BINOMIAL, device=like.device, dtype=torch.float32)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    return kernel.to(like.dtype).expand(channels, 1, 4, 4)


def downsample(x: Tensor) -> Tensor:
    """Blur and halve, (B, C, H, W) -> (B, C, H/2, W/2); zero padding, H and W even."""
    return F.conv2d(x, binomial_kernel(x.shape[1], x), stride=2, padding=1, groups=x.shape[1])
