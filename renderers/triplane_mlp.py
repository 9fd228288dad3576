"""Triplane lookup and a small MLP as one operation: features -> Linear -> softplus -> Linear.

On CPU in bfloat16 it works through the points in chunks that stay in the second-level cache, and
its backward recomputes the hidden layer instead of storing it. Elsewhere it is the plain
composition of PyTorch operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, softplus

from renderers.kernels import fast_path, triplane_kernel, triplane_mlp_chunks
from renderers.triplane import check_triplane, sample_triplane

Activation = Literal["linear", "sigmoid"]


@dataclass(frozen=True)
class MLPWeights:
    """Weights of the MLP, any float type: hidden (K, C), hidden_bias (K), out (1 + F, K), out_bias
    (1 + F).

    Row 0 of the output is the density logit, the others are the features.
    """

    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor


def triplane_mlp(
    planes: Tensor, points: Tensor, weights: MLPWeights, activation: Activation = "linear"
) -> tuple[Tensor, Tensor]:
    """Return density logits (B, N) float32 and features (B, N, F) in the type of `planes`.

    planes: (B, 3, C, H, W); points: (B, N, 3) in [-1, 1]; activation: applied to the features, not
    to the logits. Products run in the type of `planes`. Gradients reach planes, weights, and points
    (by the plain path).
    """
    check_triplane(planes, points)
    if points.requires_grad or planes.dtype != torch.bfloat16 or not fast_path(planes):
        return triplane_mlp_plain(planes, points, weights, activation)
    return _TriplaneMLP.apply(
        planes,
        points.float().contiguous(),
        activation,
        weights.hidden.float(),
        weights.hidden_bias.float(),
        weights.out.float(),
        weights.out_bias.float(),
    )


def triplane_mlp_plain(
    planes: Tensor, points: Tensor, weights: MLPWeights, activation: Activation = "linear"
) -> tuple[Tensor, Tensor]:
    """Do what `triplane_mlp` does by plain operations, on any device, in any float type."""
    kind = planes.dtype
    features = sample_triplane(planes, points)
    hidden = softplus(linear(features, weights.hidden.to(kind), weights.hidden_bias.to(kind)))
    out = linear(hidden, weights.out.to(kind), weights.out_bias.to(kind))
    values = out[..., 1:]
    return out[..., 0].float(), values.sigmoid() if activation == "sigmoid" else values


class _TriplaneMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, planes: Tensor, points: Tensor, activation: Activation, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        chunks = triplane_mlp_chunks()
        layers = chunks.prepare_layers(*weights, activation)
        density, features, inputs = chunks.forward(layers, planes, points)
        ctx.save_for_backward(planes, points, inputs, features, *weights)
        ctx.activation = activation
        return density, features

    @staticmethod
    def backward(ctx: Any, d_density: Tensor, d_features: Tensor) -> tuple[Tensor | None, ...]:
        planes, points, inputs, features, *weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: stay differentiable
            outputs = triplane_mlp_plain(planes, points, MLPWeights(*weights), ctx.activation)
            grads = torch.autograd.grad(
                outputs, [planes, *weights], [d_density, d_features], create_graph=True
            )
            return grads[0], None, None, *grads[1:]
        chunks = triplane_mlp_chunks()
        result = chunks.backward(
            chunks.prepare_layers(*weights, ctx.activation),
            points,
            inputs,
            features.flatten(0, 1),
            d_density.contiguous().flatten(),
            d_features.contiguous().flatten(0, 1),
        )
        d_planes = None
        if ctx.needs_input_grad[0]:
            d_planes = triplane_kernel().scatter(result.inputs, points, planes)
        return d_planes, None, None, result.hidden, result.hidden_bias, result.out, result.out_bias
