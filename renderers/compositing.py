"""Weighted sums of sample features along rays."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from renderers.dispatch import fast_path, kernels

KERNELS = "renderers.cpu.compositing_kernel"


def composite_plain(weights: Tensor, features: Tensor) -> Tensor:
    """Do what `composite` does in plain PyTorch, on any device."""
    return (weights.unsqueeze(-1) * features.float()).sum(dim=-2)


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, features: Tensor) -> Tensor:
        ctx.save_for_backward(weights, features)
        return kernels(KERNELS).composite_forward(weights, features)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        weights, features = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: stay differentiable
            d_weights = (features.float() * grad.unsqueeze(-2)).sum(dim=-1)
            return d_weights, (weights.unsqueeze(-1) * grad.unsqueeze(-2)).to(features.dtype)
        return kernels(KERNELS).composite_backward(weights, features, grad.contiguous())


def composite(weights: Tensor, features: Tensor) -> Tensor:
    """Return sum_s weights_s features_s in float32, (B, R, C).

    weights: (B, R, S) float32; features: (B, R, S, C) of any float type.

    >>> features = torch.tensor([[[[1.0, 0.0], [2.0, 4.0]]]])
    >>> composite(torch.tensor([[[0.5, 0.25]]]), features).tolist()
    [[[1.0, 1.0]]]
    """
    if not fast_path(features):
        return composite_plain(weights, features)
    return _Composite.apply(weights.contiguous(), features.contiguous())
