"""The chunk loops of the triplane MLP on CPU, with PyTorch's matrix products: the forward where
bfloat16 products are fast, from lookup to output while it is in cache, and every backward.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from renderers.cpu import triplane_kernel as lookup
from renderers.cpu import triplane_mlp_kernel as pointwise
from renderers.cpu.openmp import call, run_on_threads, thread_count
from renderers.cpu.triplane_mlp_layers import SOFTPLUS, Layers

UNITS_PER_CHUNK = 4
"""Lookup units of 1024 points that a thread takes at once: one to two megabytes."""


@dataclass(frozen=True)
class Gradients:
    """Gradients: inputs (B * N, C) in the planes' type; weights as `prepare_layers` takes them."""

    inputs: Tensor
    weights: tuple[Tensor, ...]


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


def _activate(values: Tensor, bias: Tensor, activation: int) -> None:
    """Add bias (n) to values (m, n) and activate them, in place."""
    rows, width = values.shape
    kernel = pointwise.activation_kernel(width, activation, values.element_size())
    call(kernel, _units(rows), rows, values.data_ptr(), bias.data_ptr())


def _hidden_layers(
    layers: Layers, inputs: Tensor, scratch: Tensor, density: Tensor
) -> list[Tensor]:
    """Return inputs (n, C) and the 1 + M hidden layers (n, K); write the density logits (n).

    scratch (S, n, K) holds the last S layers; the others are overwritten.
    """
    rows, values = inputs.shape[0], [inputs]
    *matrices, last = layers.matrices
    for k, matrix in enumerate(matrices):
        product = torch.mm(values[k], matrix.t(), out=scratch[k % len(scratch), :rows])
        _activate(product, layers.hidden_biases[k], SOFTPLUS)
        values.append(product)
    k = len(matrices)
    hidden = torch.mm(values[k], last.t(), out=scratch[k % len(scratch), :rows])
    bias = layers.hidden_biases[k]
    addresses = (hidden, bias, layers.density, layers.density_bias, density)
    kernel = pointwise.hidden_kernel(hidden.shape[1], layers.size)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))
    return [*values, hidden]


def _compile_forward(layers: Layers) -> None:
    """Compile the kernels on this thread, before several threads ask for them at once."""
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    lookup.lookup_kernel(channels, layers.size)
    pointwise.hidden_kernel(width, layers.size)
    pointwise.activation_kernel(count, layers.activation, layers.size)
    if len(layers.middle):
        pointwise.activation_kernel(width, SOFTPLUS, layers.size)


def _compile_backward(layers: Layers, stored: int) -> None:
    """Compile as `_compile_forward` does; stored: bytes an element of the planes."""
    width, count = layers.hidden.shape[0], layers.features.shape[0]
    pointwise.hidden_kernel(width, layers.size)
    pointwise.hidden_backward_kernel(width, layers.size)
    pointwise.activation_backward_kernel(count, layers.activation, layers.size, stored)
    if len(layers.middle):
        pointwise.activation_kernel(width, SOFTPLUS, layers.size)
        pointwise.activation_backward_kernel(width, SOFTPLUS, layers.size, layers.size)


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
        space = _workspace(layers, _longest(chunks), min(2, len(layers.matrices)))
        for chunk in queue:
            rows = chunk.rows
            looked_up = space.inputs[: chunk.length] if inputs is None else inputs[rows]
            lookup.lookup_units(table, points, looked_up, chunk.first, chunk.units)
            hidden = _hidden_layers(layers, looked_up, space.hidden, density[rows])[-1]
            out = torch.mm(hidden, layers.features.t(), out=features[rows])
            _activate(out, layers.features_bias, layers.activation)

    run_on_threads(body, thread_count(len(chunks)))
    return density.view(batch, count), features.unflatten(0, (batch, count)), inputs


@dataclass(frozen=True)
class _Workspace:
    """Memory that a thread writes one chunk after the other to, in the type of the products."""

    inputs: Tensor  # (n, C)
    hidden: Tensor  # (S, n, K): hidden layers
    features: Tensor  # (n, F)


def _workspace(layers: Layers, rows: int, stored: int) -> _Workspace:
    """Return space for chunks of up to so many rows that keeps `stored` hidden layers."""
    (width, channels), count = layers.hidden.shape, layers.features.shape[0]
    new = layers.hidden.new_empty
    return _Workspace(new(rows, channels), new(stored, rows, width), new(rows, count))


@dataclass(frozen=True)
class _Sums:
    """Sums of a thread over its chunks in the backward, float32, and the scratch it needs."""

    space: _Workspace
    grad: Tensor  # (n, K), the type of the products
    density: Tensor  # (n)
    matrices: list[Tensor]  # (K, C), then M of (K, K)
    features: Tensor  # (F, K)
    features_bias: Tensor  # (F)
    rows: Tensor  # (2 + M, K): density row, bias of the last hidden layer, of the one before, ...


def _sums(layers: Layers, rows: int) -> _Sums:
    width, count = layers.hidden.shape[0], layers.features.shape[0]
    space = _workspace(layers, rows, len(layers.matrices))
    return _Sums(
        space,
        torch.empty_like(space.hidden[0]),
        torch.empty(rows),
        [torch.zeros(matrix.shape) for matrix in layers.matrices],
        torch.zeros(count, width),
        torch.zeros(count),
        torch.zeros(1 + len(layers.matrices), width),
    )


def _activation_gradient(
    activation: int, values: Tensor, grad: Tensor, out: Tensor, bias_sums: Tensor
) -> None:
    """Take grad (m, n) of activated values (m, n) back to before them; add up the bias gradient."""
    rows, width = grad.shape
    sizes = (out.element_size(), grad.element_size())
    kernel = pointwise.activation_backward_kernel(width, activation, *sizes)
    addresses = (values, grad, out, bias_sums)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))


def _hidden_gradient(
    layers: Layers, hidden: Tensor, grad: Tensor, d_density: Tensor, sums: _Sums
) -> Tensor:
    """Return the gradient (n, K) before the last softplus; add up density row and bias."""
    rows, width = hidden.shape
    out = torch.mm(grad, layers.features, out=sums.grad[:rows])
    addresses = (hidden, out, d_density, layers.density, sums.rows)
    kernel = pointwise.hidden_backward_kernel(width, layers.size)
    call(kernel, _units(rows), rows, *(x.data_ptr() for x in addresses))
    return out


def _input_gradient(
    layers: Layers, values: list[Tensor], grad: Tensor, out: Tensor, sums: _Sums
) -> None:
    """Take the gradient (n, K) before the last softplus to the inputs (n, C); add up the rest.

    values: see `_hidden_layers`; their last one is overwritten, and so on to the first.
    """
    for k in range(len(layers.middle), 0, -1):
        sums.matrices[k].add_(grad.t() @ values[k])
        before = torch.mm(grad, layers.matrices[k], out=values[k + 1])
        bias_sums = sums.rows[len(sums.rows) - k]
        _activation_gradient(SOFTPLUS, values[k], before, before, bias_sums)
        grad = before
    sums.matrices[0].add_(grad.t() @ values[0])
    torch.mm(grad, layers.hidden, out=out)


def _chunk_gradient(
    layers: Layers,
    inputs: Tensor,
    features: Tensor,
    gradients: tuple[Tensor, Tensor],
    out: Tensor,
    sums: _Sums,
) -> None:
    """Take the gradients of logits (n) and features (n, F) to the inputs (n, C); add up the rest.

    `out` may be `inputs`.
    """
    d_density, d_features = gradients
    values = _hidden_layers(layers, inputs, sums.space.hidden, sums.density)
    grad = sums.space.features[: len(inputs)]
    _activation_gradient(layers.activation, features, d_features, grad, sums.features_bias)
    sums.features.add_(grad.t() @ values[-1])
    grad = _hidden_gradient(layers, values[-1], grad, d_density, sums)
    _input_gradient(layers, values, grad, out, sums)


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
                target = d_inputs[rows] if same_type else scratch
                gradients = (d_density[rows], d_features[rows])
                _chunk_gradient(layers, looked_up, features[rows], gradients, target, sums)
                if not same_type:
                    d_inputs[rows] = scratch

    run_on_threads(body, shares)
    return _add_up(totals, d_inputs, d_density)


def _add_up(totals: list[_Sums], d_inputs: Tensor, d_density: Tensor) -> Gradients:
    rows = torch.stack([sums.rows for sums in totals]).sum(dim=0)
    out = torch.stack([sums.features for sums in totals]).sum(dim=0)
    out_bias = torch.stack([sums.features_bias for sums in totals]).sum(dim=0)
    matrices = [
        torch.stack(layer).sum(dim=0)
        for layer in zip(*(sums.matrices for sums in totals), strict=True)
    ]
    hidden, *middle = zip(matrices, rows[1:].flip(0).unbind(), strict=True)
    output = (torch.cat([rows[:1], out]), torch.cat([d_density.sum().unsqueeze(0), out_bias]))
    return Gradients(d_inputs, (*hidden, *output, *chain.from_iterable(middle)))
