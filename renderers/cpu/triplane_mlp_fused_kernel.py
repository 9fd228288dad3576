"""The forward of the triplane MLP on CPU with float32 products, from lookup to output in the
first-level cache.

Where a matrix unit is missing, products need not be left to PyTorch: a tile of points goes through
all layers at once. The rows of the next tile come in from memory meanwhile.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from numba import carray
from torch import Tensor

from renderers.cpu.kernel_lanes import (
    SOURCE_STAMP,
    compiled,
    fetch_add,
    floats_at,
    helper,
    weighted_rows,
)
from renderers.cpu.kernel_products import ROWS, multiply_rows, stack
from renderers.cpu.openmp import COUNTER, SLOTS, UNITS, launch, thread_count
from renderers.cpu.triplane_kernel import (
    OFFSETS_BYTES,
    ONE,
    POINTS_PER_UNIT,
    TILE,
    WEIGHTS_BYTES,
    as_rows,
    find_taps,
    geometry_of,
    lookup_unit_count,
    sum_tile,
    unit_points,
)
from renderers.cpu.triplane_mlp_kernel import activate_row, hidden_row
from renderers.cpu.triplane_mlp_layers import SOFTPLUS, Layers


@helper
def multiply_tile(
    source: Any, count: Any, depth: Any, weights: Any, out: Any, columns: Any
) -> None:
    """Write source (TILE, depth) weights (depth, columns) to out (TILE, columns), `count` rows."""
    for i in range(0, count, ROWS):
        multiply_rows(source, i * depth, depth, weights, out, i * columns, columns)


@helper
def activate_tile(
    values: Any, count: Any, bias: Any, out: Any, stored: Any, activation: Any, width: Any
) -> None:
    """Write `count` rows of activated values + bias to rows of `out`, `stored` bytes an element."""
    for i in range(count):
        activate_row(values, 4, out, stored, i * width, bias, activation, width)


@helper
def middle_tile(
    values: Any, count: Any, biases: Any, weights: Any, out: Any, width: Any, layers: Any
) -> Any:
    """Take `count` rows from before the first softplus to before the last one, through `layers`
    middle layers: biases (1 + layers, width), weights (layers, width, width), inputs first.

    Return the address of the result: `values` or `out`, each (TILE, width).
    """
    for k in range(layers):
        activate_tile(values, count, biases + k * width * 4, values, 4, SOFTPLUS, width)
        multiply_tile(values, count, width, weights + k * width * width * 4, out, width)
        values, out = out, values
    return values


@helper
def last_hidden_tile(
    values: Any,
    count: Any,
    bias: Any,
    weights: Any,
    out_bias: Any,
    density: Any,
    n: Any,
    width: Any,
) -> None:
    """Activate `count` rows of hidden values in place; write the density logits from n on."""
    for i in range(count):
        density[n + i] = out_bias + hidden_row(values, i * width, 4, bias, weights, width)


@helper
def keep_tile(source: Any, count: Any, out: Any, n: Any, stored: Any, width: Any) -> None:
    """Round `count` float32 rows into rows of `out` from n on."""
    for i in range(count):
        weighted_rows(source, (i * width,), (ONE,), 4, out, (n + i) * width, stored, width)


@cache
def fused_kernel(channels: int, width: int, features: int, activation: int, stored: int) -> Any:
    """Compile lookup, hidden layer, any number of middle layers and output layer; `stored` bytes
    hold an element of planes, inputs and features.
    """
    row = channels + 2 * width + features
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        table, points, count = a[3], carray(floats_at(a[10]), (1,)), a[11]
        density_bias, density = floats_at(a[18])[0], floats_at(a[19])
        inputs = a[22] + fetch_add(a, SLOTS) * TILE * row * 4
        hidden = inputs + TILE * channels * 4
        spare = hidden + TILE * width * 4
        values = spare + TILE * width * 4
        taps = (stack(OFFSETS_BYTES), stack(WEIGHTS_BYTES))
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            batch, first, end = unit_points(unit, count, a[12])
            geometry = (table, batch * a[4], (a[5], a[6], a[7]), a[8], a[9])
            find_taps(points, first, min(TILE, end - first), geometry, taps, stored, channels)
            for n in range(first, end, TILE):
                size, ahead = min(TILE, end - n), max(0, min(TILE, end - n - TILE))
                sum_tile(table, stored, taps, size, inputs, 0, 4, channels)
                find_taps(points, n + TILE, ahead, geometry, taps, stored, channels)
                if a[21] != 0:
                    keep_tile(inputs, size, a[21], n, stored, channels)
                multiply_tile(inputs, size, channels, a[13], hidden, width)
                last = middle_tile(hidden, size, a[14], a[23], spare, width, a[24])
                bias = a[14] + a[24] * width * 4
                last_hidden_tile(last, size, bias, a[17], density_bias, density, n, width)
                multiply_tile(last, size, width, a[15], values, features)
                out = a[20] + n * features * stored
                activate_tile(values, size, a[16], out, stored, activation, features)

    return kernel


def forward(
    layers: Layers, planes: Tensor, points: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return what `triplane_mlp_chunks.forward` returns, for float32 layers."""
    batch, count = points.shape[:2]
    (width, channels), outputs = layers.hidden.shape, layers.features.shape[0]
    density, features = torch.empty(batch, count), planes.new_empty(batch, count, outputs)
    inputs = planes.new_empty(batch * count, channels) if keep else None
    units, table = lookup_unit_count(points), as_rows(planes)
    scratch = torch.zeros(thread_count(units), TILE, channels + 2 * width + outputs)
    middle = layers.middle.transpose(1, 2).contiguous()
    weights = (
        layers.hidden.t().contiguous(),
        layers.hidden_biases,
        layers.features.t().contiguous(),
        layers.features_bias,
        layers.density,
        layers.density_bias,
    )
    launch(
        fused_kernel(channels, width, outputs, layers.activation, planes.element_size()),
        units,
        *geometry_of(table, points),
        -(-count // POINTS_PER_UNIT),
        *(x.data_ptr() for x in (*weights, density, features)),
        0 if inputs is None else inputs.data_ptr(),
        scratch.data_ptr(),
        middle.data_ptr(),
        len(middle),
    )
    return density, features, inputs
