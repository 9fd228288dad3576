"""Kernels of `small_products` on CPU: each element of the storage is read once, from memory to
registers, and widened there; sums are float32.

PyTorch's products pack both factors first, which for eight rows costs more than multiplying. What
surrounds a product, the norm before it and the activation or sum after it, is done in registers or
in the first-level cache: an operation of its own on so few numbers costs more to call than to do.
"""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from renderers.cpu.kernel_activations import gelu
from renderers.cpu.kernel_lanes import (
    SOURCE_STAMP,
    compiled,
    fetch_add,
    floats_at,
    helper,
    literals,
    row_intrinsic,
)
from renderers.cpu.kernel_vectors import (
    I64,
    LANES,
    Row,
    accumulators,
    add_to,
    load_float,
    splat,
    value_of,
)
from renderers.cpu.openmp import COUNTER, SLOTS, UNITS

COLUMNS = LANES
"""Columns of a panel."""
MOST_ROWS = 8
"""Rows of the result that `multiply_panel` holds in registers: with the weights they fill those of
AVX-512 to a third, which hides the time of an addition, and those of AVX2."""
AHEAD = 2048
"""Bytes of storage that are asked for before they are needed."""


@row_intrinsic
def multiply_panel(
    typingctx: Any,
    x: Any,
    stride: Any,
    depth: Any,
    panel: Any,
    bias: Any,
    out: Any,
    step: Any,
    size: Any,
    rows: Any,
    ending: Any,
) -> Any:
    """Set out[r step + c] = f(bias[c] + sum_k x[r stride + k] panel[k COLUMNS + c]) for r < rows
    and c < COLUMNS; all but the panel are float32.

    ending: 0 for f(y) = y, 1 for GELU, 2 for adding to what is in `out`.
    """
    sizes = literals(size, rows, ending)
    if sizes is None:
        return None
    itemsize, count, kind = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, across, length, weights, start, result, down = args[:7]
        zero = ir.Constant(I64, 0)
        totals = accumulators(builder, [COLUMNS] * count)
        rows = [builder.mul(across, ir.Constant(I64, r)) for r in range(count)]
        with cgutils.for_range(builder, length) as loop:
            line = Row(
                builder, weights, builder.mul(loop.index, ir.Constant(I64, COLUMNS)), itemsize
            )
            line.prefetch(AHEAD // itemsize)
            factors = line.load(0, COLUMNS)
            for row, total in zip(rows, totals, strict=True):
                factor = load_float(builder, source, builder.add(row, loop.index))
                add_to(builder, total, splat(builder, factor, COLUMNS) * factors)
        offset = Row(builder, start, zero, 4).load(0, COLUMNS)
        for r, total in enumerate(totals):
            target = Row(builder, result, builder.mul(down, ir.Constant(I64, r)), 4)
            value = value_of(builder, total, COLUMNS) + offset
            if kind == 1:
                value = gelu(value)
            elif kind == 2:
                value = value + target.load(0, COLUMNS)
            target.store(value, 0)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7, size, rows, ending), codegen


@helper
def normalise(x: Any, depth: Any, weight: Any, bias: Any, epsilon: Any, out: Any) -> None:
    """Set out[k] = weight[k] (x[k] - mean) / sqrt(variance + epsilon) + bias[k] for k < depth; all
    are pointers to float32."""
    total = types.float32(0.0)
    for k in range(depth):
        total += x[k]
    mean = total / types.float32(depth)
    total = types.float32(0.0)
    for k in range(depth):
        total += (x[k] - mean) * (x[k] - mean)
    factor = types.float32(1.0) / sqrt(total / types.float32(depth) + epsilon)
    for k in range(depth):
        out[k] = (x[k] - mean) * factor * weight[k] + bias[k]


@cache
def linear_kernel(itemsize: int, rows: int, ending: int) -> Any:
    """Compile out[b, n] = f(bias[n] + sum_k norm(x)[b, k] panels[n / COLUMNS, k, n mod COLUMNS]);
    a unit is a panel.

    ending: see `multiply_panel`. Arguments: groups of `rows` rows, k, x (groups rows, stride), its
    stride, panels, bias (n), out (groups rows, n's stride), its stride; then the weight and the
    bias (k) of a layer norm of x, zero for none, the address of its epsilon, and room for a copy of
    x without its stride, one a thread.
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        groups, depth, x, stride, panels, bias, out, step = (
            a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10],
        )  # fmt: skip
        if a[11] != 0:
            place = a[14] + 4 * fetch_add(a, SLOTS) * groups * rows * depth
            for row in range(groups * rows):
                normalise(
                    floats_at(x + 4 * row * stride),
                    depth,
                    floats_at(a[11]),
                    floats_at(a[12]),
                    floats_at(a[13])[0],
                    floats_at(place + 4 * row * depth),
                )
            x, stride = place, depth
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            first = unit * COLUMNS
            for group in range(groups):
                multiply_panel(
                    x + 4 * group * rows * stride,
                    stride,
                    depth,
                    panels + itemsize * first * depth,
                    bias + 4 * first,
                    out + 4 * (group * rows * step + first),
                    step,
                    itemsize,
                    rows,
                    ending,
                )

    return kernel
