"""The weights of the triplane MLP as its CPU kernels take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Activation = Literal["linear", "sigmoid"]
LINEAR, SIGMOID, SOFTPLUS = range(3)
"""The activations by the numbers that the kernels are compiled for."""


@dataclass(frozen=True)
class Layers:
    """Weights ready for the kernels; M middle layers lie between the hidden and the output layer.

    hidden (K, C), middle (M, K, K), features (F, K): the type of the products, bfloat16 or float32;
    hidden_biases (1 + M, K), features_bias (F), density (K), density_bias (1): float32.
    """

    hidden: Tensor
    middle: Tensor
    hidden_biases: Tensor
    features: Tensor
    features_bias: Tensor
    density: Tensor
    density_bias: Tensor
    activation: int

    @property
    def size(self) -> int:
        """Bytes an element of the products."""
        return self.hidden.element_size()

    @property
    def matrices(self) -> tuple[Tensor, ...]:
        """Matrices of the 1 + M hidden layers."""
        return self.hidden, *self.middle.unbind()


def prepare_layers(
    weights: Sequence[Tensor], activation: Activation, products: torch.dtype
) -> Layers:
    """Split float32 weights (K, C), (K), (1 + F, K), (1 + F), and (K, K), (K) for every middle
    layer, into matrices of type `products` and a density row in float32.
    """
    hidden, hidden_bias, out, out_bias, *middle = weights
    width = hidden.shape[0]
    matrices = torch.stack(middle[::2]) if middle else hidden.new_empty(0, width, width)
    return Layers(
        hidden.to(products).contiguous(),
        matrices.to(products),
        torch.stack([hidden_bias, *middle[1::2]]),
        out[1:].to(products).contiguous(),
        out_bias[1:].contiguous(),
        out[0].contiguous(),
        out_bias[:1].contiguous(),
        SIGMOID if activation == "sigmoid" else LINEAR,
    )
