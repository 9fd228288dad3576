"""Triplane lookup and MLP as one operation on a GPU; the backward recomputes all but its inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from renderers.cpu.triplane_mlp_layers import Activation
from renderers.cuda.kernel_points import points_backward, points_forward
from renderers.cuda.packing import as_rows, constants, from_rows, pack, programs, unpack
from renderers.triplane_mlp import MLPWeights, triplane_mlp_plain


def triplane_mlp(
    planes: Tensor, points: Tensor, weights: MLPWeights, activation: Activation
) -> tuple[Tensor, Tensor]:
    """Do what `renderers.triplane_mlp` does, by kernels; no gradient reaches the points."""
    return _TriplaneMLP.apply(planes, points.float(), activation, *weights.flat())


class _TriplaneMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, planes: Tensor, points: Tensor, activation: Activation, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(planes, points, *weights)
        ctx.activation = activation
        settings, (batch, count, _) = constants(planes, weights, activation), points.shape
        logits = points.new_empty(batch, count)
        features = planes.new_empty(batch, count, settings["F"])
        tiles = batch * -(-count // settings["M"])
        operands = (as_rows(planes), points.contiguous(), pack(weights), logits, features)
        if tiles > 0:
            with torch.cuda.device_of(planes):
                points_forward[(tiles,)](*operands, count, *planes.shape[3:], **settings)
        return logits, features

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        planes, points, *weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: stay differentiable
            mlp = MLPWeights.from_flat(weights)
            outputs = triplane_mlp_plain(planes, points, mlp, ctx.activation)
            d_planes, *d_weights = torch.autograd.grad(
                outputs, [planes, *weights], grads, create_graph=True
            )
            return d_planes, None, None, *d_weights
        settings, (batch, count, _) = constants(planes, weights, ctx.activation), points.shape
        tiles = batch * -(-count // settings["M"])
        rows, packed = as_rows(planes), pack(weights)
        d_rows = torch.zeros_like(rows, dtype=torch.float32)
        shares = packed.new_zeros(programs(planes.device, tiles), len(packed))
        operands = (rows, points.contiguous(), packed, *(grad.contiguous() for grad in grads))
        sizes = (count, *planes.shape[3:], tiles, len(packed))
        if tiles > 0:
            with torch.cuda.device_of(planes):
                points_backward[(len(shares),)](*operands, d_rows, shares, *sizes, **settings)
        return from_rows(d_rows, planes), None, None, *unpack(shares.sum(0), weights)
