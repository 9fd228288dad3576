"""The weights of the triplane MLP as its CPU kernels take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Activation = Literal["linear", "sigmoid"]


@dataclass(frozen=True)
class Layers:
    """Weights ready for the kernels.

    hidden (K, C), features (F, K): the type of the products, bfloat16 or float32; hidden_bias (K),
    features_bias (F), density (K), density_bias (1): float32.
    """

    hidden: Tensor
    hidden_bias: Tensor
    features: Tensor
    features_bias: Tensor
    density: Tensor
    density_bias: Tensor
    activation: Activation

    @property
    def size(self) -> int:
        """Bytes an element of the products."""
        return self.hidden.element_size()


def prepare_layers(
    weights: Sequence[Tensor], activation: Activation, products: torch.dtype
) -> Layers:
    """Split float32 weights (K, C), (K), (1 + F, K), (1 + F) into matrices of type `products` and a
    density row in float32.
    """
    hidden, hidden_bias, out, out_bias = weights
    return Layers(
        hidden.to(products).contiguous(),
        hidden_bias.contiguous(),
        out[1:].to(products).contiguous(),
        out_bias[1:].contiguous(),
        out[0].contiguous(),
        out_bias[:1].contiguous(),
        activation,
    )
