"""The pointwise parts of the triplane MLP on CPU, on rows of bfloat16 that are still in cache.

Matrix products stay with PyTorch, which runs them on the matrix unit. These kernels do what lies
between: softplus, the density row of the last layer (a dot product in float32), the sigmoid, and
their backward with the bias sums.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types

from renderers.kernel_lanes import (
    SOURCE_STAMP,
    compiled,
    fetch_add,
    floats_at,
    literals,
    row_intrinsic,
    row_sum,
)
from renderers.kernel_vectors import (
    I64,
    Row,
    Vector,
    blocks,
    exp_of_negative,
    sigmoid,
    softplus,
    splat,
)
from renderers.openmp import COUNTER, UNITS

ROWS_PER_UNIT = 1024
ZERO = ir.Constant(I64, 0)


@row_intrinsic
def _hidden_row(typingctx: Any, hidden: Any, row: Any, bias: Any, weight: Any, width: Any) -> Any:
    """Set hidden[row + c] = softplus(hidden[row + c] + bias[c]); return <hidden, weight>."""
    sizes = literals(width)
    if sizes is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = Row(builder, args[0], args[1], 2)
        biases, weights = Row(builder, args[2], ZERO, 4), Row(builder, args[3], ZERO, 4)

        def block(c: int, lanes: int) -> Vector:
            activated = softplus(values.load(c, lanes) + biases.load(c, lanes))
            values.store(activated, c)
            return activated * weights.load(c, lanes)

        return row_sum(builder, sizes[0], block)

    return types.float32(types.int64, types.int64, types.int64, types.int64, width), codegen


@row_intrinsic
def _output_row(
    typingctx: Any, values: Any, row: Any, bias: Any, is_sigmoid: Any, width: Any
) -> Any:
    """values[row + c] = activation(values[row + c] + bias[c])."""
    sizes = literals(is_sigmoid, width)
    if sizes is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, biases = Row(builder, args[0], args[1], 2), Row(builder, args[2], ZERO, 4)
        for c, lanes in blocks(sizes[1]):
            total = rows.load(c, lanes) + biases.load(c, lanes)
            rows.store(sigmoid(total) if sizes[0] else total, c)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, is_sigmoid, width), codegen


@row_intrinsic
def _output_gradient_row(
    typingctx: Any,
    values: Any,
    grad: Any,
    out: Any,
    row: Any,
    sums: Any,
    is_sigmoid: Any,
    width: Any,
) -> Any:
    """Set out[row + c] = grad[row + c] * slope of the activation; sums[c] += out[row + c]."""
    sizes = literals(is_sigmoid, width)
    if sizes is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, gradient, target = (Row(builder, args[k], args[3], 2) for k in range(3))
        total = Row(builder, args[4], ZERO, 4)
        for c, lanes in blocks(sizes[1]):
            result = gradient.load(c, lanes)
            if sizes[0]:
                s = value.load(c, lanes)
                result = result * s * (1.0 - s)
            target.store(result, c)
            total.store(total.load(c, lanes) + result, c)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 5, is_sigmoid, width), codegen


@row_intrinsic
def _hidden_gradient_row(
    typingctx: Any,
    hidden: Any,
    grad: Any,
    row: Any,
    d_density: Any,
    weight: Any,
    sums: Any,
    width: Any,
) -> Any:
    """grad = (grad + d_density weight) (1 - e^-hidden); sums[0] += d_density hidden, sums[1] +=
    grad.

    1 - e^-softplus(x) is sigmoid(x), so the pre-activation is not needed.
    """
    sizes = literals(width)
    if sizes is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, gradient = (Row(builder, args[k], args[2], 2) for k in range(2))
        weights, row_sums = Row(builder, args[4], ZERO, 4), Row(builder, args[5], ZERO, 4)
        bias_sums = Row(builder, args[5], ir.Constant(I64, sizes[0]), 4)
        for c, lanes in blocks(sizes[0]):
            d, activated = splat(builder, args[3], lanes), value.load(c, lanes)
            slope = 1.0 - exp_of_negative(activated * -1.0)
            result = (gradient.load(c, lanes) + d * weights.load(c, lanes)) * slope
            gradient.store(result, c)
            row_sums.store(row_sums.load(c, lanes) + d * activated, c)
            bias_sums.store(bias_sums.load(c, lanes) + result, c)
        return context.get_dummy_value()

    head = (types.int64, types.int64, types.int64, types.float32)
    return types.void(*head, types.int64, types.int64, width), codegen


@cache
def hidden_kernel(width: int) -> Any:
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
                density[n] = density_bias + _hidden_row(hidden, n * width, bias, weight, width)

    return kernel


@cache
def output_kernel(width: int, is_sigmoid: int) -> Any:
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
                _output_row(values, n * width, bias, is_sigmoid, width)

    return kernel


@cache
def output_backward_kernel(width: int, is_sigmoid: int) -> Any:
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
                _output_gradient_row(values, grad, out, n * width, sums, is_sigmoid, width)

    return kernel


@cache
def hidden_backward_kernel(width: int) -> Any:
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
                _hidden_gradient_row(hidden, grad, n * width, d_density[n], weight, sums, width)

    return kernel
