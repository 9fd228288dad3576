"""Products of few rows with stored weights and keys, where reading the storage is the cost.

On CPU they run on the kernels of `small_products_kernel`, elsewhere on PyTorch's products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renderers.cpu.openmp import launch
from renderers.dispatch import fast_path, kernels

KERNELS = "models.blocks.cpu.small_products_kernel"


class SmallLinear:
    """A linear layer for few rows, (B, in) float32 -> (B, out) float32.

    Args:
        layer: its weights are copied.
        dtype: of the stored weights.
    """

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        weight = layer.weight.detach()
        self.columns, self.depth = weight.shape
        self.bias = layer.bias.detach().to(torch.float32, copy=True)
        self.weight = weight.to(dtype, copy=True)  # (out, in)
        self.packed = fast_path(self.weight)
        if self.packed:
            width = kernels(KERNELS).COLUMNS
            missing = -self.columns % width
            padded = F.pad(self.weight, (0, 0, 0, missing))
            # (panels, in, COLUMNS): a panel of columns is read from its start to its end.
            self.weight = padded.unflatten(0, (-1, width)).transpose(1, 2).contiguous()
            self.bias = F.pad(self.bias, (0, missing))

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        if not self.packed:
            return F.linear(x.to(self.weight.dtype), self.weight).float() + self.bias
        return self._multiply_panels(x)[: x.shape[0], : self.columns]

    def _multiply_panels(self, x: Tensor) -> Tensor:
        """Products with all panels, rows and columns padded to whole panels."""
        module, rows = kernels(KERNELS), x.shape[0]
        if rows % module.ROWS:
            x = F.pad(x, (0, 0, 0, -rows % module.ROWS))
        x, panels = x.contiguous(), self.weight.shape[0]
        out = torch.empty(x.shape[0], panels * module.COLUMNS)
        launch(
            module.linear_kernel(self.weight.itemsize),
            panels,
            x.shape[0] // module.ROWS,
            self.depth,
            out.shape[1],
            x.data_ptr(),
            self.weight.data_ptr(),
            self.bias.data_ptr(),
            out.data_ptr(),
        )
        return out


def attend_cached(query: Tensor, keys: Tensor, values: Tensor, filled: int) -> Tensor:
    """Attention of one query over the first `filled` of the stored tokens.

    Args:
        query: (B, heads, d) float32.
        keys, values: (B, heads, T, d) of one type, contiguous.

    Returns:
        (B, heads, d) float32.
    """
    if not fast_path(keys):
        stored = query.to(keys.dtype)[:, :, None]
        mixed = F.scaled_dot_product_attention(stored, keys[:, :, :filled], values[:, :, :filled])
        return mixed[:, :, 0].float()
    module, (_, _, tokens, channels) = kernels(KERNELS), keys.shape
    query = (query * channels**-0.5).contiguous()
    units, sizes = query.shape[0] * query.shape[1], (filled, tokens)
    scores = torch.empty(*query.shape[:2], filled)
    launch(
        module.score_kernel(channels, keys.itemsize),
        units,
        *sizes,
        query.data_ptr(),
        keys.data_ptr(),
        scores.data_ptr(),
    )
    weights, out = scores.softmax(-1), torch.empty_like(query)
    launch(
        module.mix_kernel(channels, values.itemsize),
        units,
        *sizes,
        weights.data_ptr(),
        values.data_ptr(),
        out.data_ptr(),
    )
    return out
