"""The pointwise parts of the triplane MLP on CPU, on rows that are still in cache.

Matrix products stay with PyTorch. These kernels do what lies between: softplus, the density row of
the output layer (a dot product in float32 with the last hidden layer), the sigmoid, and their
backward with the bias sums. Hidden layers have the type of the products, features have the type of
the planes: `size` and `stored` are their bytes an element.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types

from renderers.cpu.kernel_activations import exp_of_negative, sigmoid, softplus
from renderers.cpu.kernel_lanes import (
    SOURCE_STAMP,
    compiled,
    fetch_add,
    floats_at,
    literals,
    row_intrinsic,
    row_sum,
)
from renderers.cpu.kernel_vectors import I64, Row, Vector, blocks, splat
from renderers.cpu.openmp import COUNTER, UNITS
from renderers.cpu.triplane_mlp_layers import SIGMOID, SOFTPLUS

ROWS_PER_UNIT = 1024
ZERO = ir.Constant(I64, 0)


def _activated(x: Vector, kind: int, itemsize: int) -> Vector:
    if kind == SOFTPLUS:
        return softplus(x, itemsize)
    return sigmoid(x, itemsize) if kind == SIGMOID else x


def _softplus_slope(activated: Vector, itemsize: int) -> Vector:
    # 1 - e^-softplus(x) is sigmoid(x), so the pre-activation is not needed.
    return 1.0 - exp_of_negative(activated * -1.0, itemsize)


def _times_slope(gradient: Vector, activated: Row, first: int, kind: int) -> Vector:
    """Take the gradient of activated values, from channel `first` on, back to before them."""
    if kind not in (SIGMOID, SOFTPLUS):
        return gradient
    value = activated.load(first, gradient.lanes)
    if kind == SOFTPLUS:
        return gradient * _softplus_slope(value, activated.itemsize)
    return gradient * value * (1.0 - value)


@row_intrinsic
def hidden_row(
    typingctx: Any, hidden: Any, row: Any, size: Any, bias: Any, weight: Any, width: Any
) -> Any:
    """Set hidden[row + c] = softplus(hidden[row + c] + bias[c]); return <hidden, weight>."""
    sizes = literals(size, width)
    if sizes is None:
        return None
    itemsize, count = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = Row(builder, args[0], args[1], itemsize)
        biases, weights = Row(builder, args[3], ZERO, 4), Row(builder, args[4], ZERO, 4)

        def block(c: int, lanes: int) -> Vector:
            activated = softplus(values.load(c, lanes) + biases.load(c, lanes), itemsize)
            values.store(activated, c)
            return activated * weights.load(c, lanes)

        return row_sum(builder, count, block)

    return types.float32(types.int64, types.int64, size, types.int64, types.int64, width), codegen


@row_intrinsic
def activate_row(
    typingctx: Any,
    values: Any,
    size: Any,
    out: Any,
    stored: Any,
    row: Any,
    bias: Any,
    activation: Any,
    width: Any,
) -> Any:
    """out[row + c] = activation(values[row + c] + bias[c])."""
    sizes = literals(size, stored, activation, width)
    if sizes is None:
        return None
    source_size, target_size, kind, count = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = Row(builder, args[0], args[4], source_size)
        target = Row(builder, args[2], args[4], target_size)
        biases = Row(builder, args[5], ZERO, 4)
        for c, lanes in blocks(count):
            total = source.load(c, lanes) + biases.load(c, lanes)
            target.store(_activated(total, kind, target_size), c)
        return context.get_dummy_value()

    head = (types.int64, size, types.int64, stored, types.int64, types.int64)
    return types.void(*head, activation, width), codegen


@row_intrinsic
def _activation_gradient_row(
    typingctx: Any,
    values: Any,
    grad: Any,
    stored: Any,
    out: Any,
    size: Any,
    row: Any,
    sums: Any,
    activation: Any,
    width: Any,
) -> Any:
    """Set out[row + c] = grad[row + c] * slope of the activation; sums[c] += out[row + c]."""
    sizes = literals(stored, size, activation, width)
    if sizes is None:
        return None
    source_size, target_size, kind, count = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, gradient = (Row(builder, args[k], args[5], source_size) for k in range(2))
        target = Row(builder, args[3], args[5], target_size)
        total = Row(builder, args[6], ZERO, 4)
        for c, lanes in blocks(count):
            result = _times_slope(gradient.load(c, lanes), value, c, kind)
            target.store(result, c)
            total.store(total.load(c, lanes) + result, c)
        return context.get_dummy_value()

    head = (types.int64, types.int64, stored, types.int64, size, types.int64, types.int64)
    return types.void(*head, activation, width), codegen


@row_intrinsic
def _hidden_gradient_row(
    typingctx: Any,
    hidden: Any,
    grad: Any,
    row: Any,
    size: Any,
    d_density: Any,
    weight: Any,
    sums: Any,
    width: Any,
) -> Any:
    """grad = (grad + d_density weight) (1 - e^-hidden); sums[0] += d_density hidden, sums[1] +=
    grad.
    """
    sizes = literals(size, width)
    if sizes is None:
        return None
    itemsize, count = sizes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, gradient = (Row(builder, args[k], args[2], itemsize) for k in range(2))
        weights, row_sums = Row(builder, args[5], ZERO, 4), Row(builder, args[6], ZERO, 4)
        bias_sums = Row(builder, args[6], ir.Constant(I64, count), 4)
        for c, lanes in blocks(count):
            d, activated = splat(builder, args[4], lanes), value.load(c, lanes)
            total = gradient.load(c, lanes) + d * weights.load(c, lanes)
            result = total * _softplus_slope(activated, itemsize)
            gradient.store(result, c)
            row_sums.store(row_sums.load(c, lanes) + d * activated, c)
            bias_sums.store(bias_sums.load(c, lanes) + result, c)
        return context.get_dummy_value()

    head = (types.int64, types.int64, types.int64, size, types.float32)
    return types.void(*head, types.int64, types.int64, width), codegen


@cache
def hidden_kernel(width: int, size: int) -> Any:
    """Compile: hidden = softplus(hidden + bias), density = <hidden, weight> + its bias."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rows, hidden, bias, weight = a[3], a[4], a[5], a[6]
        density_bias, density = floats_at(a[7])[0], floats_at(a[8])
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for n in range(unit * ROWS_PER_UNIT, min(rows, (unit + 1) * ROWS_PER_UNIT)):
                density[n] = density_bias + hidden_row(hidden, n * width, size, bias, weight, width)

    return kernel


@cache
def activation_kernel(width: int, activation: int, size: int) -> Any:
    """Compile: values = activation(values + bias) in place."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rows, values, bias = a[3], a[4], a[5]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for n in range(unit * ROWS_PER_UNIT, min(rows, (unit + 1) * ROWS_PER_UNIT)):
                activate_row(values, size, values, size, n * width, bias, activation, width)

    return kernel


@cache
def activation_backward_kernel(width: int, activation: int, size: int, stored: int) -> Any:
    """Compile: out = gradient before the activation, bias sums += its column sums."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rows, values, grad, out, sums = a[3], a[4], a[5], a[6], a[7]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for n in range(unit * ROWS_PER_UNIT, min(rows, (unit + 1) * ROWS_PER_UNIT)):
                _activation_gradient_row(
                    values, grad, stored, out, size, n * width, sums, activation, width
                )

    return kernel


@cache
def hidden_backward_kernel(width: int, size: int) -> Any:
    """Compile: grad becomes the gradient before softplus; sums (2, width) += its reductions."""

    stamp = SOURCE_STAMP

    @compiled
    def kernel(a: Any) -> None:
        _ = stamp
        rows, hidden, grad, d_density, weight, sums = a[3], a[4], a[5], floats_at(a[6]), a[7], a[8]
        while True:
            unit = fetch_add(a, COUNTER)
            if unit >= a[UNITS]:
                return
            for n in range(unit * ROWS_PER_UNIT, min(rows, (unit + 1) * ROWS_PER_UNIT)):
                _hidden_gradient_row(
                    hidden, grad, n * width, size, d_density[n], weight, sums, width
                )

    return kernel
