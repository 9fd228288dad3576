"""Losses on colours."""

import math

import torch.nn.functional as F
from torch import Tensor


def l2_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of colours in [0, 1], any equal shapes.

    >>> import torch
    >>> l2_loss(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 1.0])).item()
    0.125
    """
    return F.mse_loss(predicted.float(), target.float())


def logit_laplace_loss(
    predicted: Tensor, target: Tensor, scale: float = 1.0, margin: float = 0.1
) -> Tensor:
    """Negative log-likelihood of colours under a logit-Laplace distribution, mean over elements.

        p(x | m, b) = exp(-|logit(x) - m| / b) / (2 b x (1 - x))

    with m the logit of the prediction. Both colours are first squeezed from [0, 1] into
    [margin, 1 - margin], which keeps the logits finite. Source: DALL-E (arXiv 2102.12092,
    appendix A.3), taken over by ViT-VQGAN with weight 0.1. There the network predicts b; a volume
    renderer has no such output, so `scale` is a constant here.

    Args:
        predicted, target: colours in [0, 1], any equal shapes.
        scale: b > 0, the spread of the Laplace distribution in logits.
        margin: in (0, 0.5).

    >>> import torch
    >>> grey = torch.full((2,), 0.5)
    >>> logit_laplace_loss(grey, grey)  # log(2 b x (1 - x)) = -log 2 is all that is left
    tensor(-0.6931)
    >>> logit_laplace_loss(torch.tensor([1.0, 0.0]), grey)  # logit(0.9) = 2.1972 more
    tensor(1.5041)
    """
    x = margin + (1 - 2 * margin) * target.float()
    mean = margin + (1 - 2 * margin) * predicted.float().clamp(0, 1)
    distance = (x.logit() - mean.logit()).abs() / scale
    return (distance + (x * (1 - x)).log() + math.log(2 * scale)).mean()
