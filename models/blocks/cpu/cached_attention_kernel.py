"""The kernel of attention to stored keys and values on CPU: each is read once, and widened in
registers; sums are float32."""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from renderers.cpu.kernel_activations import exp_of_negative
from renderers.cpu.kernel_lanes import (
    SOURCE_STAMP,
    compiled,
    fetch_add,
    integers_at,
    literals,
    row_intrinsic,
)
from renderers.cpu.kernel_vectors import (
    F32,
    I64,
    LANES,
    Row,
    accumulators,
    add_to,
    blocks,
    load_float,
    splat,
    value_of,
)
from renderers.cpu.openmp import COUNTER, SLOTS, UNITS

LEAST = -3e38
"""Below all scores, and a float32."""


@row_intrinsic
def store_row(typingctx: Any, x: Any, table: Any, row: Any, size: Any, channels: Any) -> Any:
    """Set table[row + c] = x[c] for c < channels; x is float32."""
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = Row(builder, args[0], ir.Constant(I64, 0), 4)
        target = Row(builder, args[1], args[2], itemsize)
        for c, lanes in blocks(width):
            target.store(source.load(c, lanes), c)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, size, channels), codegen


@row_intrinsic
def score_rows(
    typingctx: Any,
    query: Any,
    table: Any,
    row: Any,
    count: Any,
    out: Any,
    size: Any,
    channels: Any,
) -> Any:
    """Set out[t] = sum_c query[c] table[row + t channels + c] for t < count; query and out are
    float32.
    """
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        query_row = Row(builder, args[0], ir.Constant(I64, 0), 4)
        factors = [query_row.load(c, lanes) for c, lanes in blocks(width)]
        scores = builder.inttoptr(args[4], F32.as_pointer())
        with cgutils.for_range(builder, args[3]) as loop:
            place = builder.add(args[2], builder.mul(loop.index, ir.Constant(I64, width)))
            source = Row(builder, args[1], place, itemsize)
            terms = [
                source.load(c, lanes) * factor
                for (c, lanes), factor in zip(blocks(width), factors, strict=True)
            ]
            whole = [term for term in terms if term.lanes == terms[0].lanes]
            total = sum(whole[1:], start=whole[0]).sum()
            for term in terms[len(whole) :]:
                total = builder.fadd(total, term.sum())
            builder.store(total, builder.gep(scores, [loop.index]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, size, channels), codegen


@row_intrinsic
def exponentiate(typingctx: Any, row: Any, count: Any, factor: Any) -> Any:
    """Set row[t] = e^(factor (row[t] - max row)) for t < count, float32, and return their sum.

    factor > 0. The row is written up to a multiple of LANES.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, length, scale = args
        lanes = ir.Constant(I64, LANES)
        parts = builder.udiv(builder.add(length, ir.Constant(I64, LANES - 1)), lanes)
        pointer = builder.inttoptr(address, F32.as_pointer())
        with cgutils.for_range(builder, builder.mul(parts, lanes), start=length) as loop:
            builder.store(ir.Constant(F32, LEAST), builder.gep(pointer, [loop.index]))
        most = accumulators(builder, [LANES], LEAST)[0]
        with cgutils.for_range(builder, parts) as loop:
            scores = Row(builder, address, builder.mul(loop.index, lanes), 4).load(0, LANES)
            best = value_of(builder, most, LANES)
            builder.store((best - scores).where_negative(scores, best).value, most)
        largest = splat(builder, value_of(builder, most, LANES).largest(), LANES)
        total = accumulators(builder, [LANES])[0]
        with cgutils.for_range(builder, parts) as loop:
            part = Row(builder, address, builder.mul(loop.index, lanes), 4)
            below = (part.load(0, LANES) - largest) * splat(builder, scale, LANES)
            weights = exp_of_negative(below, 4)
            part.store(weights, 0)
            add_to(builder, total, weights)
        return value_of(builder, total, LANES).sum()

    return types.float32(types.int64, types.int64, types.float32), codegen


@row_intrinsic
def mix_rows(
    typingctx: Any,
    weights: Any,
    divisor: Any,
    table: Any,
    row: Any,
    count: Any,
    out: Any,
    size: Any,
    channels: Any,
) -> Any:
    """Set out[c] = sum_t weights[t] table[row + t channels + c] / divisor over t < count; weights
    and out are float32.
    """
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        totals = accumulators(builder, [lanes for _, lanes in blocks(width)])
        with cgutils.for_range(builder, args[4]) as loop:
            place = builder.add(args[3], builder.mul(loop.index, ir.Constant(I64, width)))
            source = Row(builder, args[2], place, itemsize)
            factor = load_float(builder, args[0], loop.index)
            for (c, lanes), total in zip(blocks(width), totals, strict=True):
                add_to(builder, total, source.load(c, lanes) * splat(builder, factor, lanes))
        target = Row(builder, args[5], ir.Constant(I64, 0), 4)
        for (c, lanes), total in zip(blocks(width), totals, strict=True):
            target.store(value_of(builder, total, lanes) / splat(builder, args[1], lanes), c)
        return context.get_dummy_value()

    head = (types.int64, types.float32, *[types.int64] * 4)
    return types.void(*head, size, channels), codegen


@cache
def attention_kernel(channels: int, itemsize: int) -> Any:
    """Compile attention of a token to all up to itself; a unit is a head of a sample.

    The kernel stores the token's key and value first. Arguments: heads, tokens of storage, the
    address of the token's position, query, key and value (B, stride) with the heads' channels in a
    row, their stride, keys and values (B, heads, tokens, channels), out (B, stride), its stride,
    and room for scores, a row a thread, with the row's length.
    """
    stamp = SOURCE_STAMP
    factor = channels**-0.5

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        heads, tokens, width = a[3], a[4], 4 * a[3] * channels
        keys, values = a[8], a[9]
        position = integers_at(a[5])[0]
        scores = a[12] + 4 * fetch_add(a, SLOTS) * a[13]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            sample, head = unit // heads, 4 * (unit % heads) * channels
            query, out = a[6] + 4 * sample * a[7] + head, a[10] + 4 * sample * a[11] + head
            row = unit * tokens * channels
            last, filled = row + position * channels, position + 1
            store_row(query + width, keys, last, itemsize, channels)
            store_row(query + 2 * width, values, last, itemsize, channels)
            score_rows(query, keys, row, filled, scores, itemsize, channels)
            total = exponentiate(scores, filled, types.float32(factor))
            mix_rows(scores, total, values, row, filled, out, itemsize, channels)

    return kernel
