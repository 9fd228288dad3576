"""The chunk loop of the triplane MLP on CPU: lookup to output while it is in cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from renderers import triplane_kernel as lookup
from renderers import triplane_mlp_kernel as pointwise
from renderers.openmp import call, run_on_threads, thread_count

Activation = Literal["linear", "sigmoid"]
UNITS_PER_CHUNK = 4
"""Lookup units of 1024 points that a thread takes at once: about one megabyte."""


@dataclass(frozen=True)
class Layers:
    """Weights ready for the kernels.

    hidden (K, C), features (F, K): bfloat16; hidden_bias (K), features_bias (F), density (K),
    density_bias (1): float32.
    """

    hidden: Tensor
    hidden_bias: Tensor
    features: Tensor
    features_bias: Tensor
    density: Tensor
    density_bias: Tensor
    activation: Activation


@dataclass(frozen=True)
class Gradients:
    """Gradients: inputs (B * N, C) bfloat16, the others float32, shaped as the weights."""

    inputs: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor


@dataclass(frozen=True)
class Chunk:
    """Consecutive lookup units: the first, how many, and their rows in flattened points."""

    first: int
    units: int
    rows: slice


def prepare_layers(
    hidden: Tensor, hidden_bias: Tensor, out: Tensor, out_bias: Tensor, activation: Activation
) -> Layers:
    """Split float32 weights into bfloat16 matrices and a density row that stays float32."""
    return Layers(
        hidden.to(torch.bfloat16),
        hidden_bias.contiguous(),
        out[1:].to(torch.bfloat16),
        out_bias[1:].contiguous(),
        out[0].contiguous(),
        out_bias[:1].contiguous(),
        activation,
    )


def _cut(points: Tensor) -> list[Chunk]:
    """Cut points (B, N, 3) into chunks."""
    total, end = lookup.lookup_unit_count(points), points.shape[0] * points.shape[1]
    starts = range(0, total, UNITS_PER_CHUNK)
    edges = [*(lookup.unit_start(points, unit) for unit in starts), end]
    return [
        Chunk(unit, min(UNITS_PER_CHUNK, total - unit), slice(edges[i], edges[i + 1]))
        for i, unit in enumerate(starts)
    ]


def _longest(chunks: list[Chunk]) -> int:
    return max((chunk.rows.stop - chunk.rows.start for chunk in chunks), default=0)


def _units(rows: int) -> int:
    return -(-rows // pointwise.ROWS_PER_UNIT)


def _hidden_layer(layers: Layers, inputs: Tensor, scratch: Tensor, density: Tensor) -> Tensor:
    """Return the hidden layer (n, K), in `scratch`, and write the density logits (n)."""
    rows, width = inputs.shape[0], layers.hidden.shape[0]
    hidden = torch.mm(inputs, layers.hidden.t(), out=scratch[:rows])
    addresses = (hidden, layers.hidden_bias, layers.density, layers.density_bias, density)
    call(pointwise.hidden_kernel(width), _units(rows), rows, *(x.data_ptr() for x in addresses))
    return hidden


def _compile(layers: Layers) -> None:
    """Compile the kernels on this thread, before several threads ask for them at once."""
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    is_sigmoid = int(layers.activation == "sigmoid")
    lookup.lookup_kernel(channels, layers.hidden.element_size())
    pointwise.hidden_kernel(width)
    pointwise.output_kernel(count, is_sigmoid)
    pointwise.hidden_backward_kernel(width)
    pointwise.output_backward_kernel(count, is_sigmoid)


def _output_layer(layers: Layers, hidden: Tensor, out: Tensor) -> None:
    """Write the activated features (n, F)."""
    torch.mm(hidden, layers.features.t(), out=out)
    kernel = pointwise.output_kernel(out.shape[1], int(layers.activation == "sigmoid"))
    rows = out.shape[0]
    call(kernel, _units(rows), rows, out.data_ptr(), layers.features_bias.data_ptr())


def forward(layers: Layers, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return density logits (B, N), features (B, N, F) and the MLP's inputs (B * N, C)."""
    batch, count = points.shape[:2]
    density = torch.empty(batch * count)
    features = planes.new_empty(batch * count, layers.features.shape[0])
    inputs = planes.new_empty(batch * count, planes.shape[2])
    table, chunks = lookup.as_rows(planes), _cut(points)
    queue = iter(chunks)
    _compile(layers)

    def body() -> None:
        scratch = planes.new_empty(_longest(chunks), layers.hidden.shape[0])
        for chunk in queue:
            rows = chunk.rows
            lookup.lookup_units(table, points, inputs[rows], chunk.first, chunk.units)
            hidden = _hidden_layer(layers, inputs[rows], scratch, density[rows])
            _output_layer(layers, hidden, features[rows])

    run_on_threads(body, thread_count(len(chunks)))
    return density.view(batch, count), features.unflatten(0, (batch, count)), inputs


@dataclass(frozen=True)
class _Workspace:
    """What a thread writes in the backward: scratch for a chunk, sums over its chunks."""

    hidden: Tensor  # (n, K)
    grad: Tensor  # (n, K)
    features: Tensor  # (n, F)
    density: Tensor  # (n)
    sum_hidden: Tensor  # (K, C)
    sum_features: Tensor  # (F, K)
    sum_features_bias: Tensor  # (F)
    sum_rows: Tensor  # (2, K): density row, hidden bias


def _workspace(layers: Layers, rows: int) -> _Workspace:
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    half = layers.hidden
    return _Workspace(
        half.new_empty(rows, width),
        half.new_empty(rows, width),
        half.new_empty(rows, count),
        torch.empty(rows),
        torch.zeros(width, channels),
        torch.zeros(count, width),
        torch.zeros(count),
        torch.zeros(2, width),
    )


def _output_gradient(layers: Layers, features: Tensor, grad: Tensor, space: _Workspace) -> Tensor:
    """Take the gradient (n, F) back through the activation; add up the bias gradient."""
    rows, width = grad.shape
    kernel = pointwise.output_backward_kernel(width, int(layers.activation == "sigmoid"))
    out = space.features[:rows]
    addresses = (features, grad, out, space.sum_features_bias)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))
    return out


def _hidden_gradient(
    layers: Layers, hidden: Tensor, grad: Tensor, d_density: Tensor, space: _Workspace
) -> Tensor:
    """Return the gradient (n, K) before softplus; add up density row and hidden bias."""
    rows, width = hidden.shape
    out = torch.mm(grad, layers.features, out=space.grad[:rows])
    addresses = (hidden, out, d_density, layers.density, space.sum_rows)
    kernel = pointwise.hidden_backward_kernel(width)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))
    return out


def backward(
    layers: Layers,
    points: Tensor,
    inputs: Tensor,
    features: Tensor,
    d_density: Tensor,
    d_features: Tensor,
) -> Gradients:
    """Return the gradients to inputs and weights, recomputing the hidden layer chunk by chunk.

    features, d_features: (B * N, F) bfloat16, d_density: (B * N) float32, all contiguous.
    """
    chunks, d_inputs = _cut(points), torch.empty_like(inputs)
    shares = max(1, thread_count(len(chunks)))
    spaces = [_workspace(layers, _longest(chunks)) for _ in range(shares)]
    # Fixed shares, not a queue: which chunks are summed together must not depend on timing.
    queue = iter(range(shares))

    def body() -> None:
        for share in queue:
            space = spaces[share]
            for chunk in chunks[share::shares]:
                rows = chunk.rows
                hidden = _hidden_layer(layers, inputs[rows], space.hidden, space.density)
                grad = _output_gradient(layers, features[rows], d_features[rows], space)
                space.sum_features.add_(grad.t() @ hidden)
                grad = _hidden_gradient(layers, hidden, grad, d_density[rows], space)
                torch.mm(grad, layers.hidden, out=d_inputs[rows])
                space.sum_hidden.add_(grad.t() @ inputs[rows])

    run_on_threads(body, shares)
    return _add_up(spaces, d_inputs, d_density)


def _add_up(spaces: list[_Workspace], d_inputs: Tensor, d_density: Tensor) -> Gradients:
    sum_rows = torch.stack([space.sum_rows for space in spaces]).sum(dim=0)
    out = torch.stack([space.sum_features for space in spaces]).sum(dim=0)
    out_bias = torch.stack([space.sum_features_bias for space in spaces]).sum(dim=0)
    return Gradients(
        d_inputs,
        torch.stack([space.sum_hidden for space in spaces]).sum(dim=0),
        sum_rows[1],
        torch.cat([sum_rows[:1], out]),
        torch.cat([d_density.sum().unsqueeze(0), out_bias]),
    )
