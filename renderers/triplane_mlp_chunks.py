"""The chunk loops of the triplane MLP on CPU, with PyTorch's matrix products: the forward where
bfloat16 products are fast, from lookup to output while it is in cache, and every backward.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderers import triplane_kernel as lookup
from renderers import triplane_mlp_kernel as pointwise
from renderers.openmp import call, run_on_threads, thread_count
from renderers.triplane_mlp_layers import Layers

UNITS_PER_CHUNK = 4
"""Lookup units of 1024 points that a thread takes at once: one to two megabytes."""


@dataclass(frozen=True)
class Gradients:
    """Gradients: inputs (B * N, C) in the planes' type; the others as the weights, float32."""

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

    @property
    def length(self) -> int:
        """How many points."""
        return self.rows.stop - self.rows.start


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
    return max((chunk.length for chunk in chunks), default=0)


def _units(rows: int) -> int:
    return -(-rows // pointwise.ROWS_PER_UNIT)


def _hidden_layer(layers: Layers, inputs: Tensor, scratch: Tensor, density: Tensor) -> Tensor:
    """Return the hidden layer (n, K), in `scratch`, and write the density logits (n)."""
    rows, width = inputs.shape[0], layers.hidden.shape[0]
    hidden = torch.mm(inputs, layers.hidden.t(), out=scratch[:rows])
    addresses = (hidden, layers.hidden_bias, layers.density, layers.density_bias, density)
    kernel = pointwise.hidden_kernel(width, layers.size)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))
    return hidden


def _compile_forward(layers: Layers) -> None:
    """Compile the kernels on this thread, before several threads ask for them at once."""
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    lookup.lookup_kernel(channels, layers.size)
    pointwise.hidden_kernel(width, layers.size)
    pointwise.output_kernel(count, int(layers.activation == "sigmoid"), layers.size)


def _compile_backward(layers: Layers, stored: int) -> None:
    """Compile as `_compile_forward` does; stored: bytes an element of the planes."""
    width, count = layers.hidden.shape[0], layers.features.shape[0]
    is_sigmoid = int(layers.activation == "sigmoid")
    pointwise.hidden_kernel(width, layers.size)
    pointwise.hidden_backward_kernel(width, layers.size)
    pointwise.output_backward_kernel(count, is_sigmoid, layers.size, stored)


def _output_layer(layers: Layers, hidden: Tensor, out: Tensor) -> None:
    """Write the activated features (n, F)."""
    torch.mm(hidden, layers.features.t(), out=out)
    rows, width = out.shape
    kernel = pointwise.output_kernel(width, int(layers.activation == "sigmoid"), layers.size)
    call(kernel, _units(rows), rows, out.data_ptr(), layers.features_bias.data_ptr())


def forward(
    layers: Layers, planes: Tensor, points: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return density logits (B, N), features (B, N, F) and, to `keep` for the backward, the MLP's
    inputs (B * N, C); features and inputs in the type of the planes, which the products share.
    """
    batch, count = points.shape[:2]
    density = torch.empty(batch * count)
    features = planes.new_empty(batch * count, layers.features.shape[0])
    inputs = planes.new_empty(batch * count, planes.shape[2]) if keep else None
    table, chunks = lookup.as_rows(planes), _cut(points)
    queue = iter(chunks)
    _compile_forward(layers)

    def body() -> None:
        space = _workspace(layers, _longest(chunks))
        for chunk in queue:
            rows = chunk.rows
            looked_up = space.inputs[: chunk.length] if inputs is None else inputs[rows]
            lookup.lookup_units(table, points, looked_up, chunk.first, chunk.units)
            hidden = _hidden_layer(layers, looked_up, space.hidden, density[rows])
            _output_layer(layers, hidden, features[rows])

    run_on_threads(body, thread_count(len(chunks)))
    return density.view(batch, count), features.unflatten(0, (batch, count)), inputs


@dataclass(frozen=True)
class _Workspace:
    """What a thread writes for one chunk after the other, in the type of the products."""

    inputs: Tensor  # (n, C)
    hidden: Tensor  # (n, K)
    features: Tensor  # (n, F)


def _workspace(layers: Layers, rows: int) -> _Workspace:
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    return _Workspace(*(layers.hidden.new_empty(rows, n) for n in (channels, width, count)))


@dataclass(frozen=True)
class _Sums:
    """What a thread adds up over its chunks in the backward, float32, and the scratch it needs."""

    space: _Workspace
    grad: Tensor  # (n, K), the type of the products
    density: Tensor  # (n)
    hidden: Tensor  # (K, C)
    features: Tensor  # (F, K)
    features_bias: Tensor  # (F)
    rows: Tensor  # (2, K): density row, hidden bias


def _sums(layers: Layers, rows: int) -> _Sums:
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    space = _workspace(layers, rows)
    return _Sums(
        space,
        torch.empty_like(space.hidden),
        torch.empty(rows),
        torch.zeros(width, channels),
        torch.zeros(count, width),
        torch.zeros(count),
        torch.zeros(2, width),
    )


def _output_gradient(layers: Layers, features: Tensor, grad: Tensor, sums: _Sums) -> Tensor:
    """Take the gradient (n, F) back through the activation; add up the bias gradient."""
    rows, width = grad.shape
    is_sigmoid = int(layers.activation == "sigmoid")
    kernel = pointwise.output_backward_kernel(width, is_sigmoid, layers.size, grad.element_size())
    out = sums.space.features[:rows]
    addresses = (features, grad, out, sums.features_bias)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))
    return out


def _hidden_gradient(
    layers: Layers, hidden: Tensor, grad: Tensor, d_density: Tensor, sums: _Sums
) -> Tensor:
    """Return the gradient (n, K) before softplus; add up density row and hidden bias."""
    rows, width = hidden.shape
    out = torch.mm(grad, layers.features, out=sums.grad[:rows])
    addresses = (hidden, out, d_density, layers.density, sums.rows)
    kernel = pointwise.hidden_backward_kernel(width, layers.size)
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

    features, d_features: (B * N, F) in the type of the planes, d_density: (B * N) float32, all
    contiguous.
    """
    chunks, d_inputs = _cut(points), torch.empty_like(inputs)
    shares = max(1, thread_count(len(chunks)))
    totals = [_sums(layers, _longest(chunks)) for _ in range(shares)]
    # Fixed shares, not a queue: which chunks are summed together must not depend on timing.
    queue = iter(range(shares))
    same_type = inputs.dtype == layers.hidden.dtype
    _compile_backward(layers, inputs.element_size())

    def body() -> None:
        for share in queue:
            sums = totals[share]
            for chunk in chunks[share::shares]:
                rows = chunk.rows
                scratch = sums.space.inputs[: chunk.length]
                looked_up = inputs[rows] if same_type else scratch.copy_(inputs[rows])
                hidden = _hidden_layer(layers, looked_up, sums.space.hidden, sums.density)
                grad = _output_gradient(layers, features[rows], d_features[rows], sums)
                sums.features.add_(grad.t() @ hidden)
                grad = _hidden_gradient(layers, hidden, grad, d_density[rows], sums)
                sums.hidden.add_(grad.t() @ looked_up)
                target = d_inputs[rows] if same_type else scratch
                d_inputs[rows] = torch.mm(grad, layers.hidden, out=target)

    run_on_threads(body, shares)
    return _add_up(totals, d_inputs, d_density)


def _add_up(totals: list[_Sums], d_inputs: Tensor, d_density: Tensor) -> Gradients:
    rows = torch.stack([sums.rows for sums in totals]).sum(dim=0)
    out = torch.stack([sums.features for sums in totals]).sum(dim=0)
    out_bias = torch.stack([sums.features_bias for sums in totals]).sum(dim=0)
    return Gradients(
        d_inputs,
        torch.stack([sums.hidden for sums in totals]).sum(dim=0),
        rows[1],
        torch.cat([rows[:1], out]),
        torch.cat([d_density.sum().unsqueeze(0), out_bias]),
    )
