"""Adversarial losses on discriminator logits and the R1 penalty.

A logit is high for what the discriminator takes as real.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

AdversarialObjective = Literal["non_saturating", "hinge"]


def generator_loss(fake: Tensor, objective: AdversarialObjective = "non_saturating") -> Tensor:
    """Loss () of the generator, from logits of its images, any shape.

    non_saturating: mean softplus(-fake) (arXiv 1406.2661, section 3); hinge: mean -fake.

    >>> generator_loss(torch.zeros(4)), generator_loss(torch.tensor([3.0, 1.0]), "hinge")
    (tensor(0.6931), tensor(-2.))
    """
    return F.softplus(-fake).mean() if objective == "non_saturating" else -fake.mean()


def discriminator_loss(
    real: Tensor, fake: Tensor, objective: AdversarialObjective = "non_saturating"
) -> Tensor:
    """Loss () of the discriminator, from logits of real and generated images, any shape.

    non_saturating: mean softplus(-real) + mean softplus(fake);
    hinge: mean relu(1 - real) + mean relu(1 + fake) (arXiv 1705.02894).

    >>> real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.0])
    >>> discriminator_loss(torch.zeros(2), torch.zeros(2)), discriminator_loss(real, fake, "hinge")
    (tensor(1.3863), tensor(0.7500))
    """
    if objective == "non_saturating":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """R1: half the mean squared norm of d logit / d image on real images.

        0.5 * mean_b |grad_x D(x_b)|^2   (arXiv 1801.04406, equation 9, without gamma)

    Args:
        real_logits: (B,) or (B, 1) from `real_images`.
        real_images: (B, C, H, W) that require gradients.

    >>> images = torch.rand(2, 3, 1, 1).requires_grad_()
    >>> logits = 2 * images.sum((1, 2, 3))  # a gradient of 2 in each of three channels
    >>> r1_penalty(logits, images).item()
    6.0
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return 0.5 * gradient.float().square().flatten(1).sum(1).mean()
