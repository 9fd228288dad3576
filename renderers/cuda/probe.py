"""A trial of the Triton kernels on a small problem, before anything depends on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from renderers.cpu.triplane_mlp_layers import Activation
from renderers.cuda.points import triplane_mlp
from renderers.triplane_mlp import MLPWeights, triplane_mlp_plain

TOLERANCE = 0.1
"""Largest relative error allowed: rounding to bfloat16 or TF32 stays below, a broken kernel above.
"""


@torch.inference_mode(False)
@torch.enable_grad()
def trial(
    device: torch.device,
    kind: torch.dtype,
    shapes: Sequence[tuple[int, ...]],
    activation: Activation,
) -> None:
    """Compare kernels and plain operations, forward and backward, for planes of a type and weights
    of the shapes `MLPWeights.flat`. Raises whatever goes wrong, ArithmeticError if the values do.
    """
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        scale = shape[-1] ** -0.5 if len(shape) == 2 else 1.0
        return (scale * torch.randn(shape, generator=rng)).to(device)

    with torch.autocast(device.type, enabled=False):
        planes = normal(2, 3, shapes[0][1], 4, 6).to(kind).requires_grad_()
        leaves = [planes, *(normal(*shape).requires_grad_() for shape in shapes)]
        points = (2.4 * torch.rand(2, 70, 3, generator=rng) - 1.2).to(device)
        weights = MLPWeights.from_flat(leaves[1:])
        grads = [normal(2, 70), normal(2, 70, shapes[2][0] - 1).to(kind)]
        results = []
        for compute in (triplane_mlp, triplane_mlp_plain):
            outputs = compute(planes, points, weights, activation)
            results.append([*outputs, *torch.autograd.grad(outputs, leaves, grads)])
    for found, expected in zip(*results, strict=True):
        check(found.detach().float(), expected.detach().float())


def check(found: Tensor, expected: Tensor) -> None:
    """Raise ArithmeticError unless values are nearly as expected."""
    error = float((found - expected).norm() / expected.norm())
    if not error < TOLERANCE:
        raise ArithmeticError(f"values are {error:.2g} off")
