"""Stride-1 convolution that is fast on CPU in all its derivatives.

oneDNN's float32 gradient of the weights is four times slower than matrix products on CPUs without
AVX-512 when images are channels-last. Here it is one product a tap of the kernel.

Convolution C(x, w), its gradient of the input I(g, w) and of the weights W(x, g) are the three ways
to leave out one factor of a trilinear form, so each one's derivatives are the two others, to any
order.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

NARROW = 32
"""Channels up to which oneDNN's gradient of the weights is the faster one after all: 2 times at 16
channels, 1.4 times at 32."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve (B, C, H, W) with (C', C, k, k), k odd: (B, C', H, W), zero padding.

    Layout in memory and autocasting are those of `F.conv2d`. Derivatives of any order exist.
    """
    autocast = torch.is_autocast_enabled("cpu")
    # Traced, the gradient of the weights can't be left out where nobody wants it.
    if x.device.type == "cpu" and _wide(x) and not autocast and not torch.compiler.is_compiling():
        return _Convolution.apply(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _wide(x: Tensor) -> bool:
    return x.dtype in (torch.float32, torch.float64)


def _weight_wanted(ctx: Any) -> bool:
    """Return whether the running backward pass needs the gradient of input 1, a weight.

    The first pass of a penalty on image gradients does not: a third of the penalty's products.
    """
    node = ctx.next_functions[1][0]
    if node is None or hasattr(node, "variable"):  # the engine can't be asked about leaves
        return node is not None
    return torch._C._will_engine_execute_node(node)


def weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Return sum over images and pixels of grad (B, C', H, W) x, shifted by each tap, as
    (C', C, k, k).

    Images padded to one size are lists of pixels in which a tap is a constant offset.
    """
    if x.shape[1] * grad.shape[1] <= NARROW**2:
        shape = (grad.shape[1], x.shape[1], kernel, kernel)
        return conv2d_weight(x, shape, grad, padding=kernel // 2)
    border, row = kernel // 2, x.shape[3] + 2 * (kernel // 2)
    pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, *[border] * 4)).flatten(0, 2)  # (N, C)
    grads = F.pad(grad.permute(0, 2, 3, 1), (0, 0, *[0, 2 * border] * 2)).flatten(0, 2)
    used = len(grads) - 2 * border * (row + 1)  # rows after that are padding
    grads = grads[:used].T
    taps = x.new_empty(kernel, kernel, grad.shape[1], x.shape[1])
    for i in range(kernel):
        for j in range(kernel):
            first = i * row + j
            torch.mm(grads, pixels[first : first + used], out=taps[i, j])
    return taps.permute(2, 3, 0, 1)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x, _, to_bias = ctx.needs_input_grad
        return (
            _InputGradient.apply(grad, weight) if to_x else None,
            _WeightGradient.apply(x, grad, weight.shape[-1]) if _weight_wanted(ctx) else None,
            grad.sum((0, 2, 3)) if to_bias else None,
        )


class _InputGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(grad, weight)
        turned = weight.flip(2, 3).transpose(0, 1)
        return F.conv2d(grad, turned, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = ctx.saved_tensors
        to_weight = _weight_wanted(ctx)
        return (
            _Convolution.apply(direction, weight, None) if ctx.needs_input_grad[0] else None,
            _WeightGradient.apply(direction, grad, weight.shape[-1]) if to_weight else None,
        )


class _WeightGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grad: Tensor, kernel: int) -> Tensor:
        ctx.save_for_backward(x, grad)
        return weight_gradient(x, grad, kernel)

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        x, grad = ctx.saved_tensors
        to_x, to_grad, _ = ctx.needs_input_grad
        return (
            _InputGradient.apply(grad, direction) if to_x else None,
            _Convolution.apply(x, direction, None) if to_grad else None,
            None,
        )
