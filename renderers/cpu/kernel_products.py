"""Row operations of the fused triplane MLP: sums of taps and small float32 matrix products.

As in `kernel_lanes`, tensors come in as addresses and offsets count elements.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from renderers.cpu.kernel_lanes import literals, row_intrinsic
from renderers.cpu.kernel_vectors import CACHE_LINE, F32, I64, Row, Vector, blocks, splat

ROWS = 6
"""Rows that `multiply_rows` takes at once: with 16 columns they fill the registers of AVX2."""


def _element(builder: Any, address: Any, index: Any, kind: Any) -> Any:
    pointer = builder.inttoptr(address, kind.as_pointer())
    return builder.gep(pointer, [index])


@row_intrinsic
def stack(typingctx: Any, size: Any) -> Any:
    """Return the address of `size` bytes that last as long as the kernel runs."""
    sizes = literals(size)
    if sizes is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        memory = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(8), sizes[0]))
        memory.align = CACHE_LINE
        return builder.ptrtoint(memory, I64)

    return types.int64(size), codegen


@row_intrinsic
def keep_taps(
    typingctx: Any, offsets: Any, weights: Any, first: Any, rows: Any, factors: Any
) -> Any:
    """Write a tuple of offsets to offsets[first + k] (int64), of factors to weights[first + k]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for k in range(rows.count):
            place = builder.add(args[2], ir.Constant(I64, k))
            for address, values, kind in ((args[0], args[3], I64), (args[1], args[4], F32)):
                value = builder.extract_value(values, k)
                builder.store(value, _element(builder, address, place, kind))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, rows, factors), codegen


@row_intrinsic
def sum_taps(
    typingctx: Any,
    table: Any,
    table_size: Any,
    taps: Any,
    first: Any,
    count: Any,
    out: Any,
    row: Any,
    out_size: Any,
    channels: Any,
) -> Any:
    """Set out[row + c] = sum_k weights[first + k] table[offsets[first + k] + c], for k < count and
    c < channels; taps: the addresses of offsets and weights, see `keep_taps`.
    """
    sizes = literals(table_size, count, out_size, channels)
    if sizes is None:
        return None
    source_size, terms, target_size, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offsets, weights = (builder.extract_value(args[2], k) for k in range(2))
        places = [builder.add(args[3], ir.Constant(I64, k)) for k in range(terms)]
        factors = [builder.load(_element(builder, weights, place, F32)) for place in places]
        rows = [builder.load(_element(builder, offsets, place, I64)) for place in places]
        sources = [Row(builder, args[0], row, source_size) for row in rows]
        target = Row(builder, args[5], args[6], target_size)
        for c, lanes in blocks(width):
            target.store(_weighted_sum(sources, factors, c, lanes), c)
        return context.get_dummy_value()

    head = (types.int64, table_size, taps, types.int64, count)
    return types.void(*head, types.int64, types.int64, out_size, channels), codegen


def _weighted_sum(sources: list[Row], factors: list[Any], first: int, lanes: int) -> Vector:
    """Emit the sum of rows times factors, for `lanes` channels from `first` on."""
    builder = sources[0].builder
    if sources[0].itemsize == 4 or lanes % 2:
        terms = [
            source.load(first, lanes) * splat(builder, factor, lanes)
            for source, factor in zip(sources, factors, strict=True)
        ]
        return sum(terms[1:], start=terms[0])
    # Channels of even and odd number apart: to widen them so takes one instruction, not two.
    totals: list[Vector] = []
    for source, factor in zip(sources, factors, strict=True):
        factor_vector = splat(builder, factor, lanes // 2)
        terms = [half * factor_vector for half in source.load_even_odd(first, lanes)]
        totals = [a + b for a, b in zip(totals, terms, strict=True)] if totals else terms
    return totals[0].interleave(totals[1])


@row_intrinsic
def multiply_rows(
    typingctx: Any, source: Any, row: Any, depth: Any, weights: Any, out: Any, to: Any, columns: Any
) -> Any:
    """Set out[to + r columns + c] = sum_k source[row + r depth + k] weights[k columns + c] for
    r < ROWS, all in float32.
    """
    sizes = literals(depth, columns)
    if sizes is None:
        return None
    inner, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for c, lanes in blocks(width):
            kind = ir.VectorType(F32, lanes)
            totals = [cgutils.alloca_once(builder, kind) for _ in range(ROWS)]
            for total in totals:
                builder.store(ir.Constant(kind, [0.0] * lanes), total)
            with cgutils.for_range(builder, ir.Constant(I64, inner)) as loop:
                offset = builder.mul(loop.index, ir.Constant(I64, width))
                factors = Row(builder, args[3], offset, 4).load(c, lanes)
                for r, total in enumerate(totals):
                    index = builder.add(args[1], builder.add(loop.index, _times(r, inner)))
                    scalar = builder.load(_element(builder, args[0], index, F32))
                    before = Vector(builder, builder.load(total), lanes)
                    after = before + splat(builder, scalar, lanes) * factors
                    builder.store(after.value, total)
            for r, total in enumerate(totals):
                target = Row(builder, args[4], builder.add(args[5], _times(r, width)), 4)
                target.store(Vector(builder, builder.load(total), lanes), c)
        return context.get_dummy_value()

    head = (types.int64, types.int64, depth, types.int64, types.int64, types.int64)
    return types.void(*head, columns), codegen


def _times(row: int, width: int) -> ir.Constant:
    return ir.Constant(I64, row * width)
