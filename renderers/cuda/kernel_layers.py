"""The layers of the MLP for a tile of points, forward and backward, in Triton.

All weights lie in one float32 array, in the order of `MLPWeights.flat`, and so do their gradients.
Channels C, hidden units K and features F are padded to the sizes CP, KP and FP of the tiles; what
is padded has zero weights, and nothing of it is stored.
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: RUF005 (Triton unpacks no tuples in tuples)

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_vector(pointer, size: tl.constexpr, SIZE: tl.constexpr):
    """Return a vector, padded with zeros."""
    index = tl.arange(0, SIZE)
    return tl.load(pointer + index, mask=index < size, other=0.0)


@triton.jit
def load_matrix(
    pointer, rows: tl.constexpr, columns: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Return a matrix, padded with zeros."""
    row, column = tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS)[None, :]
    mask = (row < rows) & (column < columns)
    return tl.load(pointer + row * columns + column, mask=mask, other=0.0)


@triton.jit
def add_vector(pointer, values, size: tl.constexpr, SIZE: tl.constexpr):
    """Add a padded vector to what is stored."""
    index = tl.arange(0, SIZE)
    tl.atomic_add(pointer + index, values, mask=index < size, sem="relaxed")


@triton.jit
def store_matrix(
    pointer,
    values,
    rows: tl.constexpr,
    columns: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Undo `load_matrix`."""
    row, column = tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS)[None, :]
    mask = (row < rows) & (column < columns)
    tl.store(pointer + row * columns + column, values, mask=mask)


@triton.jit
def softplus(x):
    """Return log(1 + exp(x))."""
    return tl.maximum(x, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(x)))


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def load_layers(
    weights,
    KIND: tl.constexpr,
    C: tl.constexpr,
    K: tl.constexpr,
    F: tl.constexpr,
    MIDDLE: tl.constexpr,
    CP: tl.constexpr,
    KP: tl.constexpr,
    FP: tl.constexpr,
):
    """Return the matrices (1 + MIDDLE) of hidden layers in the type of the products, their biases,
    and density row and bias, features' matrix and bias."""
    matrices = (load_matrix(weights, K, C, KP, CP).to(KIND),)
    biases = (load_vector(weights + K * C, K, KP),)
    out = weights + K * C + K
    out_bias = out + (1 + F) * K
    density = load_vector(out, K, KP)
    features = load_matrix(out + K, F, K, FP, KP).to(KIND)
    output = (density, tl.load(out_bias), features, load_vector(out_bias + 1, F, FP))
    for layer in tl.static_range(MIDDLE):
        middle = out_bias + 1 + F + layer * (K * K + K)
        matrices = matrices + (load_matrix(middle, K, K, KP, KP).to(KIND),)
        biases = biases + (load_vector(middle + K * K, K, KP),)
    return matrices, biases, output


@triton.jit
def forward_layers(inputs, layers, MIDDLE: tl.constexpr, PRECISION: tl.constexpr):
    """Return inputs and hidden layers (M, KP) in the type of the products, and the logits (M)."""
    matrices, biases, output = layers
    values = (inputs,)
    hidden = inputs.to(tl.float32)
    for layer in tl.static_range(1 + MIDDLE):
        product = tl.dot(values[layer], tl.trans(matrices[layer]), input_precision=PRECISION)
        hidden = softplus(product + biases[layer][None, :])
        values = values + (hidden.to(inputs.dtype),)
    logits = tl.sum(hidden * output[0][None, :], 1) + output[1]
    return values, logits


@triton.jit
def forward_features(hidden, layers, SIGMOID: tl.constexpr, PRECISION: tl.constexpr):
    """Return the features (M, FP) float32 of the last hidden layer."""
    output = layers[2]
    features = tl.dot(hidden, tl.trans(output[2]), input_precision=PRECISION) + output[3][None, :]
    return sigmoid(features) if SIGMOID else features


@triton.jit
def zero_gradients(MIDDLE: tl.constexpr, CP: tl.constexpr, KP: tl.constexpr, FP: tl.constexpr):
    """Return zeros float32 for the matrices of the hidden layers and of the features."""
    matrices = (tl.zeros((KP, CP), tl.float32),)
    for _ in tl.static_range(MIDDLE):
        matrices = matrices + (tl.zeros((KP, KP), tl.float32),)
    return matrices, tl.zeros((FP, KP), tl.float32)


@triton.jit
def backward_layers(
    values,
    layers,
    sums,
    d_logits,
    d_features,
    row,
    C: tl.constexpr,
    K: tl.constexpr,
    F: tl.constexpr,
    MIDDLE: tl.constexpr,
    KP: tl.constexpr,
    FP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Return the gradient (M, CP) of the inputs, and `sums` plus those of the matrices.

    values: of `forward_layers`; d_logits: (M); d_features: (M, FP) before their activation; row:
    where gradients of the program lie, in the order of the weights. Those of vectors are added to
    it at once: as sums they would take as many registers as matrices.
    """
    matrices, _, output = layers
    d_matrices, d_out = sums
    hidden = values[1 + MIDDLE]
    out_bias = row + K * C + K + (1 + F) * K
    add_vector(row + K * C + K, tl.sum(d_logits[:, None] * hidden.to(tl.float32), 0), K, KP)
    tl.atomic_add(out_bias, tl.sum(d_logits), sem="relaxed")
    add_vector(out_bias + 1, tl.sum(d_features, 0), F, FP)
    rounded = d_features.to(hidden.dtype)
    d_out = tl.dot(tl.trans(rounded), hidden, acc=d_out, input_precision=PRECISION)
    gradient = tl.dot(rounded, output[2], input_precision=PRECISION)
    gradient += d_logits[:, None] * output[0][None, :]
    after = ()
    for layer in tl.static_range(MIDDLE, -1, -1):
        # The derivative of softplus, by its value.
        gradient *= 1.0 - tl.exp(-values[layer + 1].to(tl.float32))
        bias = row + K * C if layer == 0 else out_bias + 1 + F + layer * (K * K + K) - K
        add_vector(bias, tl.sum(gradient, 0), K, KP)
        rounded = gradient.to(hidden.dtype)
        d_matrix = tl.dot(
            tl.trans(rounded), values[layer], acc=d_matrices[layer], input_precision=PRECISION
        )
        after = (d_matrix,) + after
        gradient = tl.dot(rounded, matrices[layer], input_precision=PRECISION)
    return gradient, (after, d_out)


@triton.jit
def store_gradients(
    row,
    sums,
    C: tl.constexpr,
    K: tl.constexpr,
    F: tl.constexpr,
    MIDDLE: tl.constexpr,
    CP: tl.constexpr,
    KP: tl.constexpr,
    FP: tl.constexpr,
):
    """Write the sums of the matrices where they lie among the weights."""
    matrices, d_out = sums
    store_matrix(row, matrices[0], K, C, KP, CP)
    store_matrix(row + K * C + 2 * K, d_out, F, K, FP, KP)
    for layer in tl.static_range(MIDDLE):
        middle = row + K * C + K + (1 + F) * (K + 1) + layer * (K * K + K)
        store_matrix(middle, matrices[layer + 1], K, K, KP, KP)
