"""The yardstick: an eager float32 triplane renderer in plain PyTorch, structured as EG3D's.

grid_sample on (C, H, W) planes, whole-tensor MLP, concatenation and sort of coarse and fine
samples, gathers of densities and features. Same formulas as `renderers`, none of its code except
the sampling of positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, softplus


@dataclass(frozen=True)
class Head:
    """MLP weights: hidden (K, C), hidden_bias (K), out (1 + F, K), out_bias (1 + F)."""

    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor


def sample_planes(planes: Tensor, points: Tensor) -> Tensor:
    """planes (B, 3, C, H, W), points (B, N, 3) in [-1, 1] -> (B, N, C), summed over planes."""
    batch, count, _ = points.shape
    axes = [points[..., [0, 1]], points[..., [0, 2]], points[..., [1, 2]]]
    grids = torch.stack(axes, dim=1).reshape(batch * 3, 1, count, 2)
    sampled = grid_sample(
        planes.flatten(0, 1), grids, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled.reshape(batch, 3, -1, count).sum(dim=1).transpose(1, 2)


def triplane_field(planes: Tensor, points: Tensor, head: Head) -> tuple[Tensor, Tensor]:
    """Return density (B, N) = softplus(logit - 1) and features (B, N, F) = sigmoid."""
    features = sample_planes(planes, points)
    hidden = softplus(features @ head.hidden.t() + head.hidden_bias)
    out = hidden @ head.out.t() + head.out_bias
    return softplus(out[..., 0] - 1.0), torch.sigmoid(out[..., 1:])


def march(
    density: Tensor, features: Tensor, t: Tensor, near: Tensor, far: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rgb (B, R, C), depth (B, R) and weights (B, R, S) of sorted samples."""
    middle = 0.5 * (t[..., 1:] + t[..., :-1])
    edges = torch.cat([near[..., None], middle, far[..., None]], dim=-1)
    alpha = 1.0 - torch.exp(-density * (edges[..., 1:] - edges[..., :-1]))
    passed = torch.cumprod(
        torch.cat([torch.ones_like(alpha[..., :1]), 1.0 - alpha], dim=-1), dim=-1
    )
    weights = alpha * passed[..., :-1]
    rgb = (weights[..., None] * features).sum(dim=-2)
    depth = (weights * t).sum(dim=-1) + passed[..., -1] * far
    return rgb, depth, weights


def fine_distances(t: Tensor, weights: Tensor, near: Tensor, far: Tensor, noise: Tensor) -> Tensor:
    """Importance samples (B, R, F) from coarse weights, noise (B, R, F) in [0, 1)."""
    with torch.no_grad():
        padded = torch.cat([weights[..., :1], weights, weights[..., -1:]], dim=-1)
        peak = torch.maximum(padded[..., 1:], padded[..., :-1])
        pdf = 0.5 * (peak[..., 1:] + peak[..., :-1]) + 0.01
        cdf = torch.cumsum(pdf / pdf.sum(dim=-1, keepdim=True), dim=-1)
        cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf], dim=-1)
        count = noise.shape[-1]
        level = (torch.arange(count, device=t.device) + noise) / count
        upper = torch.searchsorted(cdf, level, right=True).clamp(1, pdf.shape[-1])
        middle = 0.5 * (t[..., 1:] + t[..., :-1])
        edges = torch.cat([near[..., None], middle, far[..., None]], dim=-1)
        low, high = cdf.gather(-1, upper - 1), cdf.gather(-1, upper)
        fraction = (level - low) / (high - low).clamp_min(1e-12)
        start, stop = edges.gather(-1, upper - 1), edges.gather(-1, upper)
        return start + fraction.clamp(0, 1) * (stop - start)


@dataclass(frozen=True)
class Problem:
    """Rays (B, R, 3), near, far (B, R), noise (B, R, Sc), (B, R, Sf), half extent of the box."""

    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor
    coarse_noise: Tensor
    fine_noise: Tensor
    half_extent: float


def render(planes: Tensor, head: Head, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Render coarse + fine: rgb (B, R, F), depth (B, R), weights (B, R, Sc + Sf)."""
    near, far = problem.near, problem.far
    count = problem.coarse_noise.shape[-1]
    level = (torch.arange(count, device=near.device) + problem.coarse_noise) / count
    coarse = near[..., None] + level * (far - near)[..., None]
    density, features = evaluate(planes, head, problem, coarse)
    _, _, weights = march(density, features, coarse, near, far)
    fine = fine_distances(coarse, weights, near, far, problem.fine_noise)
    fine_density, fine_features = evaluate(planes, head, problem, fine)
    t, order = torch.sort(torch.cat([coarse, fine], dim=-1), dim=-1)
    density = torch.cat([density, fine_density], dim=-1).gather(-1, order)
    features = torch.cat([features, fine_features], dim=-2)
    features = features.gather(-2, order[..., None].expand(-1, -1, -1, features.shape[-1]))
    return march(density, features, t, near, far)


def evaluate(planes: Tensor, head: Head, problem: Problem, t: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate the triplane at distances t (B, R, S): density (B, R, S), features (B, R, S, F)."""
    points = problem.origins[:, :, None] + t[..., None] * problem.directions[:, :, None]
    density, features = triplane_field(planes, points.flatten(1, 2) / problem.half_extent, head)
    return density.unflatten(1, t.shape[1:]), features.unflatten(1, t.shape[1:])
