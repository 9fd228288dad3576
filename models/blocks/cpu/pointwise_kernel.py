"""Kernels of `pointwise` on CPU: scale, bias and leaky ReLU, one pass forward, one backward."""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import types

from renderers.cpu.kernel_lanes import SOURCE_STAMP, compiled, fetch_add, literals, row_intrinsic
from renderers.cpu.kernel_vectors import F32, Row, blocks, splat
from renderers.cpu.openmp import COUNTER, UNITS


@row_intrinsic
def affine_row(
    typingctx: Any,
    x: Any,
    at: Any,
    scale: Any,
    row: Any,
    bias: Any,
    first: Any,
    slope: Any,
    out: Any,
    size: Any,
    channels: Any,
) -> Any:
    """Set out[at + c] = leaky(x[at + c] scale[row + c] + bias[first + c]) for c < channels."""
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (Row(builder, args[k], args[1], itemsize) for k in (0, 7))
        factor, offset = Row(builder, args[2], args[3], 4), Row(builder, args[4], args[5], 4)
        for c, lanes in blocks(width):
            value = source.load(c, lanes) * factor.load(c, lanes) + offset.load(c, lanes)
            low = value * splat(builder, args[6], lanes)
            target.store(value.where_negative(low, value), c)
        return context.get_dummy_value()

    pair = (types.int64, types.int64)
    return types.void(*pair * 3, types.float32, types.int64, size, channels), codegen


@row_intrinsic
def affine_row_backward(
    typingctx: Any,
    images: Any,
    at: Any,
    scale: Any,
    row: Any,
    bias: Any,
    first: Any,
    slope: Any,
    sums: Any,
    to: Any,
    size: Any,
    channels: Any,
) -> Any:
    """With d = grad leaky'(x scale + bias), set d_x[at + c] = d scale[row + c], and add d x and d
    to sums[to[0] + c] and sums[to[1] + c]; images are the addresses of x, grad and d_x.
    """
    sizes = literals(size, channels)
    if sizes is None:
        return None
    itemsize, width = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = [builder.extract_value(args[0], k) for k in range(3)]
        source, grad, target = (Row(builder, place, args[1], itemsize) for place in places)
        factor, offset = Row(builder, args[2], args[3], 4), Row(builder, args[4], args[5], 4)
        totals = [Row(builder, args[7], builder.extract_value(args[8], k), 4) for k in range(2)]
        for c, lanes in blocks(width):
            x, high, scales = source.load(c, lanes), grad.load(c, lanes), factor.load(c, lanes)
            value = x * scales + offset.load(c, lanes)
            d = value.where_negative(high * splat(builder, args[6], lanes), high)
            target.store(d * scales, c)
            totals[0].store(totals[0].load(c, lanes) + d * x, c)
            totals[1].store(totals[1].load(c, lanes) + d, c)
        return context.get_dummy_value()

    pair = (types.int64, types.int64)
    head = (images, types.int64, *pair * 2, types.float32)
    return types.void(*head, types.int64, to, size, channels), codegen


@row_intrinsic
def float_at(typingctx: Any, address: Any) -> Any:
    """Return the float32 at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], F32.as_pointer()))

    return types.float32(types.int64), codegen


@cache
def affine_kernel(block: int, itemsize: int) -> Any:
    """Compile the forward pass; a unit is a part of an image's pixels.

    Arguments: pixels of a unit, units of an image, channels (a multiple of `block`), x and out
    (units, pixels, C), scale (B, C), bias (C), the address of the slope.
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        pixels, parts, channels, x, out, scale, bias = a[3], a[4], a[5], a[6], a[7], a[8], a[9]
        slope = float_at(a[10])
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            row = unit // parts * channels
            for at in range(unit * pixels * channels, (unit + 1) * pixels * channels, channels):
                for c in range(0, channels, block):
                    affine_row(x, at + c, scale, row + c, bias, c, slope, out, itemsize, block)

    return kernel


@cache
def affine_backward_kernel(block: int, itemsize: int) -> Any:
    """Compile the backward pass; arguments as before with the gradient of x for out, then the
    gradient of out, and sums (units, 2, C) float32, zero at the start.
    """
    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        pixels, parts, channels, scale, bias, sums = a[3], a[4], a[5], a[8], a[9], a[12]
        images, slope = (a[6], a[11], a[7]), float_at(a[10])
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            row, total = unit // parts * channels, 2 * unit * channels
            for at in range(unit * pixels * channels, (unit + 1) * pixels * channels, channels):
                for c in range(0, channels, block):
                    to = (total + c, total + channels + c)
                    affine_row_backward(
                        images, at + c, scale, row + c, bias, c, slope, sums, to, itemsize, block
                    )

    return kernel
