"""Triplane lookup and a small MLP as one operation: features -> (Linear -> softplus) x n -> Linear.

On CPU it works through the points in chunks that stay in the second-level cache, and its backward
recomputes the hidden layers instead of storing them. On a GPU it is a kernel each way, whose
backward recomputes the lookup too. Elsewhere it is the plain composition of PyTorch operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, softplus

from renderers.cpu.precision import product_type
from renderers.cpu.triplane_mlp_layers import Activation, prepare_layers
from renderers.dispatch import fast_path, gpu_path, kernels
from renderers.triplane import KERNELS as LOOKUP
from renderers.triplane import check_triplane, sample_triplane

CHUNKS = "renderers.cpu.triplane_mlp_chunks"
"""The chunk loops, around PyTorch's products."""
FUSED = "renderers.cpu.triplane_mlp_fused_kernel"
"""The forward in one kernel, products in float32."""
GPU = "renderers.cuda.points"
"""All of it on a GPU."""


@dataclass(frozen=True)
class MLPWeights:
    """Weights of the MLP, any float type: hidden (K, C), hidden_bias (K), out (1 + F, K), out_bias
    (1 + F); middle: a matrix (K, K) and a bias (K) for every layer between those two.

    Row 0 of the output is the density logit, the others are the features. Two middle layers make
    the deeper decoder of arXiv 2402.00225.
    """

    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor
    middle: tuple[tuple[Tensor, Tensor], ...] = ()

    def flat(self) -> tuple[Tensor, ...]:
        """Return all tensors in one tuple, middle layers last, as `from_flat` takes them."""
        first = (self.hidden, self.hidden_bias, self.out, self.out_bias)
        return *first, *chain.from_iterable(self.middle)

    @staticmethod
    def from_flat(tensors: Sequence[Tensor]) -> MLPWeights:
        """Undo `flat`."""
        hidden, hidden_bias, out, out_bias, *middle = tensors
        pairs = tuple(zip(middle[::2], middle[1::2], strict=True))
        return MLPWeights(hidden, hidden_bias, out, out_bias, pairs)


def _check_weights(weights: MLPWeights, channels: int) -> None:
    width, outputs = weights.hidden.shape[0], weights.out.shape[0]
    expected = [(width, channels), (width,), (outputs, width), (outputs,)]
    expected += [(width, width), (width,)] * len(weights.middle)
    shapes = [tuple(x.shape) for x in weights.flat()]
    if shapes != expected:
        raise ValueError(
            f"weights for {channels} channels, {width} hidden units and {outputs} outputs must "
            f"have the shapes {expected}, got {shapes}"
        )


def triplane_mlp(
    planes: Tensor, points: Tensor, weights: MLPWeights, activation: Activation = "linear"
) -> tuple[Tensor, Tensor]:
    """Return density logits (B, N) float32 and features (B, N, F) in the type of `planes`.

    planes: (B, 3, C, H, W); points: (B, N, 3) in [-1, 1]; activation: applied to the features, not
    to the logits. Products run in the type of `planes`, or in float32 on a CPU where that is faster
    (see `bf16_is_fast`). Gradients reach planes, weights, and points (by the plain path). Raises
    ValueError for shapes that do not fit.
    """
    check_triplane(planes, points)
    _check_weights(weights, planes.shape[2])
    parameters = weights.flat()
    if points.requires_grad:
        return triplane_mlp_plain(planes, points, weights, activation)
    if gpu_path(planes, parameters, activation):
        return kernels(GPU).triplane_mlp(planes, points, weights, activation)
    if not fast_path(planes):
        return triplane_mlp_plain(planes, points, weights, activation)
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (planes, *parameters))
    return _TriplaneMLP.apply(
        planes, points.float().contiguous(), activation, keep, *(x.float() for x in parameters)
    )


def triplane_mlp_plain(
    planes: Tensor, points: Tensor, weights: MLPWeights, activation: Activation = "linear"
) -> tuple[Tensor, Tensor]:
    """Do what `triplane_mlp` does by plain operations, on any device, in any float type: logits of
    float64 planes are float64.
    """
    kind = product_type(planes)
    hidden = sample_triplane(planes, points).to(kind)
    for matrix, bias in ((weights.hidden, weights.hidden_bias), *weights.middle):
        hidden = softplus(linear(hidden, matrix.to(kind), bias.to(kind)))
    out = linear(hidden, weights.out.to(kind), weights.out_bias.to(kind))
    values = out[..., 1:].sigmoid() if activation == "sigmoid" else out[..., 1:]
    logits = out[..., 0].to(torch.promote_types(kind, torch.float32))
    return logits, values.to(planes.dtype)


class _TriplaneMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        planes: Tensor,
        points: Tensor,
        activation: Activation,
        keep: bool,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        layers = prepare_layers(weights, activation, product_type(planes))
        fused = layers.hidden.dtype == torch.float32
        module = kernels(FUSED if fused else CHUNKS)
        density, features, inputs = module.forward(layers, planes, points, keep)
        ctx.save_for_backward(planes, points, inputs, features, *weights)
        ctx.activation = activation
        return density, features

    @staticmethod
    def backward(ctx: Any, d_density: Tensor, d_features: Tensor) -> tuple[Tensor | None, ...]:
        planes, points, inputs, features, *weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: stay differentiable
            outputs = triplane_mlp_plain(
                planes, points, MLPWeights.from_flat(weights), ctx.activation
            )
            grads = torch.autograd.grad(
                outputs, [planes, *weights], [d_density, d_features], create_graph=True
            )
            return grads[0], None, None, None, *grads[1:]
        result = kernels(CHUNKS).backward(
            prepare_layers(weights, ctx.activation, product_type(planes)),
            points,
            inputs,
            features.flatten(0, 1),
            d_density.contiguous().flatten(),
            d_features.contiguous().flatten(0, 1),
        )
        d_planes = None
        if ctx.needs_input_grad[0]:
            d_planes = kernels(LOOKUP).scatter(result.inputs, points, planes)
        return d_planes, None, None, None, *result.weights
