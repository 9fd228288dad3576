"""Row operations and addresses for the numba kernels: intrinsics over rows of C channels, C a
compile-time constant.

Tensors come in as addresses (int64); offsets count elements. See `kernel_vectors` for storage and
arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from llvmlite import ir
from numba import cfunc, njit, types
from numba.extending import intrinsic

from renderers.cpu.kernel_vectors import CACHE_LINE, F32, FAST, I64, Row, Vector, blocks, splat

_OPTIONS: Any = {"nogil": True, "fastmath": set(FAST), "error_model": "numpy"}
row_intrinsic: Any = intrinsic(prefer_literal=True)
helper: Any = njit(inline="always", **_OPTIONS)
compiled: Any = cfunc(types.void(types.CPointer(types.int64)), cache=True, **_OPTIONS)
"""Decorator of a kernel: a C function of one pointer to int64 arguments, kept on disk."""
SOURCE_STAMP = crc32(b"".join(f.read_bytes() for f in sorted(Path(__file__).parent.glob("*.py"))))
"""Changes with every file of this folder, which holds all that kernels here and elsewhere import.
numba's disk cache looks at a kernel's own file and closure only, so every kernel closes over this
number: an edit here recompiles them all."""


def literals(*values: Any) -> list[int] | None:
    """Return the values of literal integer types, or None to ask numba for literals."""
    if all(isinstance(value, types.IntegerLiteral) for value in values):
        return [value.literal_value for value in values]
    return None


def _unpack(builder: Any, pair: Any, count: int) -> list[Any]:
    return [builder.extract_value(pair, k) for k in range(count)]


@row_intrinsic
def weighted_rows(
    typingctx: Any,
    table: Any,
    rows: Any,
    weights: Any,
    table_size: Any,
    out: Any,
    row: Any,
    out_size: Any,
    channels: Any,
) -> Any:
    """Set out[row + c] = sum_k weights[k] table[rows[k] + c] for c < channels; k is unrolled."""
    sizes = literals(table_size, out_size, channels)
    if sizes is None:
        return None
    source_size, target_size, width = sizes
    taps = rows.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factors = _unpack(builder, args[2], taps)
        sources = [Row(builder, args[0], k, source_size) for k in _unpack(builder, args[1], taps)]
        target = Row(builder, args[4], args[5], target_size)
        for first, lanes in blocks(width):
            terms = [
                source.load(first, lanes) * splat(builder, factor, lanes)
                for source, factor in zip(sources, factors, strict=True)
            ]
            target.store(sum(terms[1:], start=terms[0]), first)
        return context.get_dummy_value()

    tail = (types.int64, types.int64, out_size, channels)
    return types.void(types.int64, rows, weights, table_size, *tail), codegen


@row_intrinsic
def add_to_rows(
    typingctx: Any,
    source: Any,
    row: Any,
    size: Any,
    rows: Any,
    weights: Any,
    out: Any,
    channels: Any,
) -> Any:
    """Add weights[k] source[row + c] to out[rows[k] + c], float32, for c < channels, k in order."""
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes
    taps = rows.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factors = _unpack(builder, args[4], taps)
        targets = [Row(builder, args[5], k, 4) for k in _unpack(builder, args[3], taps)]
        source_row = Row(builder, args[0], args[1], itemsize)
        for first, lanes in blocks(width):
            value = source_row.load(first, lanes)
            for target, factor in zip(targets, factors, strict=True):
                total = target.load(first, lanes) + value * splat(builder, factor, lanes)
                target.store(total, first)
        return context.get_dummy_value()

    arguments = (types.int64, types.int64, size, rows, weights, types.int64, channels)
    return types.void(*arguments), codegen


def row_sum(builder: Any, width: int, term: Callable[[int, int], Vector]) -> Any:
    """Emit the sum of `term(first channel, lanes)` over all blocks and lanes of a row."""
    result: Any = ir.Constant(F32, 0.0)
    for first, lanes in blocks(width):
        result = builder.fadd(result, term(first, lanes).sum())
    return result


@row_intrinsic
def dot_rows(
    typingctx: Any, first: Any, row: Any, size: Any, second: Any, other: Any, channels: Any
) -> Any:
    """Return sum_c first[row + c] second[other + c] over c < channels; second is float32."""
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, right = Row(builder, args[0], args[1], itemsize), Row(builder, args[3], args[4], 4)
        return row_sum(builder, width, lambda c, n: left.load(c, n) * right.load(c, n))

    arguments = (types.int64, types.int64, size, types.int64, types.int64, channels)
    return types.float32(*arguments), codegen


@row_intrinsic
def prefetch_rows(typingctx: Any, table: Any, rows: Any, size: Any, channels: Any) -> Any:
    """Ask for table[rows[k] .. rows[k] + channels] ahead of its use, for all k."""
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes
    taps = rows.count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for offset in _unpack(builder, args[1], taps):
            row = Row(builder, args[0], offset, itemsize)
            for first in range(0, width, CACHE_LINE // itemsize):
                row.prefetch(first)
        return context.get_dummy_value()

    return types.void(types.int64, rows, size, channels), codegen


@row_intrinsic
def floats_at(typingctx: Any, address: Any) -> Any:
    """Return the address as a pointer to float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], F32.as_pointer())

    return types.CPointer(types.float32)(types.int64), codegen


@row_intrinsic
def integers_at(typingctx: Any, address: Any) -> Any:
    """Return the address as a pointer to int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], I64.as_pointer())

    return types.CPointer(types.int64)(types.int64), codegen


@row_intrinsic
def fetch_add(typingctx: Any, pointer: Any, index: Any) -> Any:
    """Add one to pointer[index] (int64) atomically; return the old value: the next work unit."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(args[0], [args[1]])
        return builder.atomic_rmw("add", place, ir.Constant(I64, 1), "monotonic")

    return types.int64(types.CPointer(types.int64), types.int64), codegen
