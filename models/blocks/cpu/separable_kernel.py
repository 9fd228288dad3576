"""The kernel of `separable` on CPU: weighted sums of windows of pixels, a pixel being a row."""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import carray, types

from renderers.cpu.kernel_lanes import (
    SOURCE_STAMP,
    compiled,
    fetch_add,
    integers_at,
    literals,
    row_intrinsic,
)
from renderers.cpu.kernel_vectors import F32, I64, Row, blocks, splat
from renderers.cpu.openmp import COUNTER, UNITS


def _table(builder: Any, address: Any, row: Any, kind: Any, taps: int) -> list[Any]:
    """Emit loads of the `taps` numbers in a row of a table."""
    pointer = builder.inttoptr(address, kind.as_pointer())
    first = builder.mul(row, ir.Constant(I64, taps))
    places = [builder.add(first, ir.Constant(I64, k)) for k in range(taps)]
    return [builder.load(builder.gep(pointer, [place])) for place in places]


@row_intrinsic
def sum_window(
    typingctx: Any,
    x: Any,
    at: Any,
    tables: Any,
    row: Any,
    column: Any,
    taps: Any,
    size: Any,
    out: Any,
    to: Any,
    channels: Any,
) -> Any:
    """Set out[to + c] = sum_kl u[row, k] v[column, l] x[at + r[row, k] + s[column, l] + c], for
    c < channels; tables are the addresses of r, u, s, v, of `taps` numbers a row.
    """
    sizes = literals(taps, size, channels)
    if sizes is None:
        return None
    count, itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        r, u, s, v = (builder.extract_value(args[2], k) for k in range(4))
        tops = _table(builder, r, args[3], I64, count)
        lefts = _table(builder, s, args[4], I64, count)
        downs = _table(builder, u, args[3], F32, count)
        rights = _table(builder, v, args[4], F32, count)
        starts = [builder.add(args[1], top) for top in tops]
        target = Row(builder, args[7], args[8], itemsize)
        for first, lanes in blocks(width):
            terms = []
            for start, down in zip(starts, downs, strict=True):
                line = [
                    Row(builder, args[0], builder.add(start, left), itemsize).load(first, lanes)
                    * splat(builder, right, lanes)
                    for left, right in zip(lefts, rights, strict=True)
                ]
                terms.append(sum(line[1:], start=line[0]) * splat(builder, down, lanes))
            target.store(sum(terms[1:], start=terms[0]), first)
        return context.get_dummy_value()

    head = (types.int64, types.int64, tables, types.int64, types.int64, taps, size)
    return types.void(*head, types.int64, types.int64, channels), codegen


@cache
def separable_kernel(taps: int, block: int, itemsize: int) -> Any:
    """Compile the sum of windows for every pixel of the result; a unit is a row of pixels.

    Arguments: rows of pixels an image, pixels a row, channels (a multiple of `block`), elements of
    an image of x and of the result; then the addresses of r, u, s, v (see `sum_window`), of the
    places of rows and of columns in the result, of x and of the result.
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rows, columns, channels, image, out_image = a[3], a[4], a[5], a[6], a[7]
        tables, x, out = (a[8], a[9], a[10], a[11]), a[14], a[15]
        row_places = carray(integers_at(a[12]), (1,))
        column_places = carray(integers_at(a[13]), (1,))
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            row = unit % rows
            at = unit // rows * image
            to = unit // rows * out_image + row_places[row]
            for column in range(columns):
                place = to + column_places[column]
                for c in range(0, channels, block):
                    sum_window(
                        x, at + c, tables, row, column, taps, itemsize, out, place + c, block
                    )

    return kernel
