"""Depth supervision: from relative disparity, known up to scale and shift (VQ3D), or from metres.

Let d_i be the disparity (1 / depth) of sample i of a ray, w_i its volume rendering weight and D the
given relative disparity. The prediction is aligned to the label, as MiDaS does
(arXiv 1907.01341, equation 4), never the label to the prediction: that direction would make a
constant depth a perfect score.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

SCALE_LIMITS = (0.5, 3.0)
"""Bounds of s when the scene's disparity is itself scaled to [0, 1] between far and near.

A floor near zero is a trap: a scene whose depth came out inverted would get s near 0 and with it no
gradient. A missing ceiling blows up the loss of scenes that are still flat.
"""


@dataclass(frozen=True)
class Alignment:
    """Scale and shift (B, 1) that map rendered disparity onto given disparity."""

    scale: Tensor
    shift: Tensor


def align_disparity(rendered: Tensor, given: Tensor, known: Tensor) -> Alignment:
    """Least-squares scale and shift of each image: argmin over (s, t) of sum (s d + t - D)^2.

    The scale is held within `SCALE_LIMITS`, so an inverted depth can't be explained by a negative
    one; the shift is then the best for that scale. No gradient flows through the result.

    Args:
        rendered: (B, R) accumulated disparity, sum_i w_i d_i, of a scene scaled to [0, 1].
        given: (B, R) relative disparity D.
        known: (B, R) bool, which labels count.

    >>> rendered = torch.tensor([[0.1, 0.2, 0.4]])
    >>> fit = align_disparity(rendered, 2 * rendered + 0.1, torch.ones(1, 3, dtype=torch.bool))
    >>> round(fit.scale.item(), 3), round(fit.shift.item(), 3)
    (2.0, 0.1)
    """
    weight = known.float()
    count = weight.sum(1, keepdim=True).clamp(min=1)
    d, label = rendered.detach().float(), given.float()
    d_mean = (weight * d).sum(1, keepdim=True) / count  # (B, 1)
    label_mean = (weight * label).sum(1, keepdim=True) / count
    covariance = (weight * (d - d_mean) * (label - label_mean)).sum(1, keepdim=True)
    variance = (weight * (d - d_mean).square()).sum(1, keepdim=True)
    scale = (covariance / variance.clamp(min=1e-12)).clamp(*SCALE_LIMITS)
    return Alignment(scale, label_mean - scale * d_mean)


def pointwise_depth_loss(
    weights: Tensor, disparity: Tensor, given: Tensor, known: Tensor
) -> Tensor:
    """Mean over known rays of sum_i w_i (s d_i + t - D)^2, the weighted pointwise depth loss.

    It equals `accumulated_depth_loss` plus s^2 times the variance of d along the ray under w, and
    so pulls density onto the surface (VQ3D, arXiv 2302.06833; the side that is aligned and the
    detached s, t are our choice).

    Args:
        weights: (B, R, S) rendering weights that sum to one (residual opacity on the far sample).
        disparity: (B, R, S) disparity d_i of the samples, scaled to [0, 1] between far and near.
        given: (B, R) relative disparity in [0, 1].
        known: (B, R) bool. Images with no known ray contribute nothing.

    Returns:
        () float32; zero when nothing is known.

    >>> disparity = torch.tensor([[[0.0, 0.2], [0.5, 0.9]]])
    >>> weights, known = torch.full((1, 2, 2), 0.5), torch.ones(1, 2, dtype=torch.bool)
    >>> given = torch.tensor([[0.1, 0.7]])  # what is seen: s = 1, t = 0
    >>> round(accumulated_depth_loss(weights, disparity, given, known).item(), 4)
    0.0
    >>> round(pointwise_depth_loss(weights, disparity, given, known).item(), 4)
    0.025
    >>> round(disparity.var(-1, correction=0).mean().item(), 4)  # under weights that are alike
    0.025
    """
    weights, disparity = weights.float(), disparity.float()
    fit = align_disparity((weights * disparity).sum(-1), given, known)
    residual = fit.scale[..., None] * disparity + (fit.shift - given.float())[..., None]
    return _mean_over_known((weights * residual.square()).sum(-1), known)


def accumulated_depth_loss(
    weights: Tensor, disparity: Tensor, given: Tensor, known: Tensor
) -> Tensor:
    """Mean over known rays of (s sum_i w_i d_i + t - D)^2; arguments as `pointwise_depth_loss`."""
    rendered = (weights.float() * disparity.float()).sum(-1)
    fit = align_disparity(rendered, given, known)
    return _mean_over_known((fit.scale * rendered + fit.shift - given.float()).square(), known)


def metric_depth_loss(weights: Tensor, depth: Tensor, given: Tensor, known: Tensor) -> Tensor:
    """Mean over known rays of sum_i w_i (t_i - z)^2: all of a ray's weight belongs at its label.

    Nothing is aligned, as LiDAR and the rays of driving data share their unit. Ours; GINA-3D names
    no loss of depth.

    Args:
        weights: (B, R, S) as of `pointwise_depth_loss`.
        depth: (B, R, S) depth t_i of the samples.
        given: (B, R) depth z, in the same unit; anything where it is not known.
        known: (B, R) bool.

    >>> weights, depth = torch.tensor([[[0.5, 0.5]]]), torch.tensor([[[1.0, 3.0]]])
    >>> known = torch.ones(1, 1, dtype=torch.bool)
    >>> metric_depth_loss(weights, depth, torch.tensor([[2.0]]), known).item()
    1.0
    """
    label = torch.where(known, given, 0.0).float()
    return _mean_over_known((weights.float() * (depth - label[..., None]).square()).sum(-1), known)


def opaque_at_the_end(weights: Tensor) -> Tensor:
    """Rendering weights (B, R, S) with the residual opacity on the far sample, so that they sum to
    one: where depth is known there is a surface, and to render nothing there is no way out."""
    residual = 1 - weights.sum(-1, keepdim=True)
    return torch.cat([weights[..., :-1], weights[..., -1:] + residual], -1)


def _mean_over_known(per_ray: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, per_ray, 0.0).sum() / known.sum().clamp(min=1)
