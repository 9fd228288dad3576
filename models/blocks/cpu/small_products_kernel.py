"""Kernels of `small_products` on CPU: each element of the storage is read once, from memory to
registers, and widened there; sums are float32.

PyTorch's products pack both factors first, which for eight rows costs more than multiplying.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from renderers.cpu.kernel_lanes import SOURCE_STAMP, compiled, fetch_add, literals, row_intrinsic
from renderers.cpu.kernel_vectors import F32, I64, Row, Vector, blocks, splat
from renderers.cpu.openmp import COUNTER, UNITS

ROWS = COLUMNS = 8
"""Rows and columns of the result that `multiply_panel` holds in registers: with the weights and one
factor they fill those of AVX2."""


def _float(builder: Any, address: Any, index: Any) -> Any:
    pointer = builder.inttoptr(address, F32.as_pointer())
    return builder.load(builder.gep(pointer, [index]))


def _accumulators(builder: Any, lanes: list[int]) -> list[Any]:
    """Emit vectors of zeros that a loop can add to."""
    totals = [cgutils.alloca_once(builder, ir.VectorType(F32, n)) for n in lanes]
    for total, n in zip(totals, lanes, strict=True):
        builder.store(ir.Constant(ir.VectorType(F32, n), [0.0] * n), total)
    return totals


def _add(builder: Any, total: Any, term: Vector) -> None:
    builder.store((Vector(builder, builder.load(total), term.lanes) + term).value, total)


@row_intrinsic
def multiply_panel(
    typingctx: Any,
    x: Any,
    depth: Any,
    panel: Any,
    size: Any,
    bias: Any,
    out: Any,
    to: Any,
    step: Any,
) -> Any:
    """Set out[to + r step + c] = bias[c] + sum_k x[r depth + k] panel[k COLUMNS + c] for r < ROWS
    and c < COLUMNS; all but the panel are float32.
    """
    sizes = literals(size)
    if sizes is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, count, weights, _, start, result, target, stride = args
        zero = ir.Constant(I64, 0)
        totals = _accumulators(builder, [COLUMNS] * ROWS)
        for total in totals:
            _add(builder, total, Row(builder, start, zero, 4).load(0, COLUMNS))
        rows = [builder.mul(count, ir.Constant(I64, r)) for r in range(ROWS)]
        with cgutils.for_range(builder, count) as loop:
            offset = builder.mul(loop.index, ir.Constant(I64, COLUMNS))
            factors = Row(builder, weights, offset, sizes[0]).load(0, COLUMNS)
            for row, total in zip(rows, totals, strict=True):
                factor = _float(builder, source, builder.add(row, loop.index))
                _add(builder, total, splat(builder, factor, COLUMNS) * factors)
        for r, total in enumerate(totals):
            place = builder.add(target, builder.mul(stride, ir.Constant(I64, r)))
            Row(builder, result, place, 4).store(Vector(builder, builder.load(total), COLUMNS), 0)
        return context.get_dummy_value()

    head = (types.int64, types.int64, types.int64, size)
    return types.void(*head, types.int64, types.int64, types.int64, types.int64), codegen


@row_intrinsic
def score_rows(
    typingctx: Any,
    query: Any,
    at: Any,
    table: Any,
    row: Any,
    size: Any,
    count: Any,
    out: Any,
    to: Any,
    channels: Any,
) -> Any:
    """Set out[to + t] = sum_c query[at + c] table[row + t channels + c] for t < count; query
    and out are float32.
    """
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        query_row = Row(builder, args[0], args[1], 4)
        factors = [query_row.load(c, lanes) for c, lanes in blocks(width)]
        with cgutils.for_range(builder, args[5]) as loop:
            place = builder.add(args[3], builder.mul(loop.index, ir.Constant(I64, width)))
            source = Row(builder, args[2], place, itemsize)
            terms = [
                source.load(c, lanes) * factor
                for (c, lanes), factor in zip(blocks(width), factors, strict=True)
            ]
            whole = [term for term in terms if term.lanes == terms[0].lanes]
            total = sum(whole[1:], start=whole[0]).sum()
            for term in terms[len(whole) :]:
                total = builder.fadd(total, term.sum())
            pointer = builder.inttoptr(args[6], F32.as_pointer())
            builder.store(total, builder.gep(pointer, [builder.add(args[7], loop.index)]))
        return context.get_dummy_value()

    head = (types.int64, types.int64, types.int64, types.int64, size, types.int64)
    return types.void(*head, types.int64, types.int64, channels), codegen


@row_intrinsic
def mix_rows(
    typingctx: Any,
    weights: Any,
    at: Any,
    table: Any,
    row: Any,
    size: Any,
    count: Any,
    out: Any,
    to: Any,
    channels: Any,
) -> Any:
    """Set out[to + c] = sum_t weights[at + t] table[row + t channels + c] over t < count;
    weights and out are float32.
    """
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        totals = _accumulators(builder, [lanes for _, lanes in blocks(width)])
        with cgutils.for_range(builder, args[5]) as loop:
            place = builder.add(args[3], builder.mul(loop.index, ir.Constant(I64, width)))
            source = Row(builder, args[2], place, itemsize)
            factor = _float(builder, args[0], builder.add(args[1], loop.index))
            for (c, lanes), total in zip(blocks(width), totals, strict=True):
                _add(builder, total, source.load(c, lanes) * splat(builder, factor, lanes))
        target = Row(builder, args[6], args[7], 4)
        for (c, lanes), total in zip(blocks(width), totals, strict=True):
            target.store(Vector(builder, builder.load(total), lanes), c)
        return context.get_dummy_value()

    head = (types.int64, types.int64, types.int64, types.int64, size, types.int64)
    return types.void(*head, types.int64, types.int64, channels), codegen


@cache
def linear_kernel(itemsize: int) -> Any:
    """Compile out[b, n] = bias[n] + sum_k x[b, k] panels[n / COLUMNS, k, n mod COLUMNS]; a unit is
    a panel.

    Arguments: groups of ROWS rows, k, n, x (groups ROWS, k), panels, bias (n), out (as x, n).
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        groups, depth, columns, x, panels, bias, out = a[3], a[4], a[5], a[6], a[7], a[8], a[9]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            first = unit * COLUMNS
            for group in range(groups):
                multiply_panel(
                    x + 4 * group * ROWS * depth,
                    depth,
                    panels + itemsize * first * depth,
                    itemsize,
                    bias + 4 * first,
                    out,
                    group * ROWS * columns + first,
                    columns,
                )

    return kernel


@cache
def score_kernel(channels: int, itemsize: int) -> Any:
    """Compile out[u, t] = <query[u], keys[u, t]> for t < filled; a unit u is a head of a sample.

    Arguments: filled, tokens of storage, query (u, c), keys (u, tokens, c), out (u, filled).
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        filled, tokens, query, keys, out = a[3], a[4], a[5], a[6], a[7]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            row = unit * tokens * channels
            score_rows(
                query, unit * channels, keys, row, itemsize, filled, out, unit * filled, channels
            )

    return kernel


@cache
def mix_kernel(channels: int, itemsize: int) -> Any:
    """Compile out[u] = sum_t weights[u, t] values[u, t] over t < filled; a unit is as before.

    Arguments: filled, tokens of storage, weights (u, filled), values (u, tokens, c), out (u, c).
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        filled, tokens, weights, values, out = a[3], a[4], a[5], a[6], a[7]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            row = unit * tokens * channels
            mix_rows(
                weights,
                unit * filled,
                values,
                row,
                itemsize,
                filled,
                out,
                unit * channels,
                channels,
            )

    return kernel
