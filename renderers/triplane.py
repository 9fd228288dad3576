"""Triplane lookup: the sum of bilinear samples of the planes (x, y), (x, z), (y, z)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from renderers.dispatch import fast_path, kernels

KERNELS = "renderers.cpu.triplane_kernel"

PLANE_AXES = ((0, 1), (0, 2), (1, 2))
"""Axes of space along the columns and the rows of each plane."""


def check_triplane(planes: Tensor, points: Tensor) -> None:
    """Raise ValueError unless planes are (B, 3, C, H, W) and points (B, N, 3)."""
    if planes.ndim != 5 or planes.shape[1] != 3:
        raise ValueError(f"planes must be (B, 3, C, H, W), got {tuple(planes.shape)}")
    if points.ndim != 3 or points.shape[2] != 3 or points.shape[0] != planes.shape[0]:
        raise ValueError(f"points must be ({planes.shape[0]}, N, 3), got {tuple(points.shape)}")


def sample_triplane_plain(planes: Tensor, points: Tensor) -> Tensor:
    """Do what `sample_triplane` does by grid_sample: any device, gradients to points too.

    It samples in float32 at least: bfloat16 coordinates of planes of side 256 miss by half a texel.
    """
    kind = torch.promote_types(planes.dtype, torch.float32)
    points = points.to(kind)
    axes = points.unbind(-1)
    grids = torch.stack([torch.stack([axes[a], axes[b]], -1) for a, b in PLANE_AXES], dim=1)
    sampled = grid_sample(
        planes.to(kind).flatten(0, 1),
        grids.flatten(0, 1).unsqueeze(1),
        padding_mode="zeros",
        align_corners=False,
    )
    summed = sampled.squeeze(2).unflatten(0, (-1, 3)).sum(dim=1)
    return summed.transpose(1, 2).to(planes.dtype)


class _SampleTriplane(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, points: Tensor) -> Tensor:
        ctx.save_for_backward(planes, points)
        kernel = kernels(KERNELS)
        return kernel.lookup(kernel.as_rows(planes), points)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        planes, points = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: stay differentiable
            features = sample_triplane_plain(planes, points)
            return torch.autograd.grad(features, planes, grad, create_graph=True)[0], None
        return kernels(KERNELS).scatter(grad.contiguous(), points, planes), None


def sample_triplane(planes: Tensor, points: Tensor) -> Tensor:
    """Return features (B, N, C) in the type of `planes` at points (B, N, 3), coordinates in [-1,
    1].

    planes: (B, 3, C, H, W) float32 or bfloat16; the first named axis of a plane runs along W, the
    second along H; -1 and 1 are the outer borders of the border cells (align_corners=False).
    Outside, planes are zero, as in EG3D. Planes that are channels-last in memory are read in place.

    >>> planes = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 4, 4)
    >>> sample_triplane(planes, torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]])).tolist()
    [[[111.0], [1.0]]]
    """
    check_triplane(planes, points)
    if points.requires_grad or not fast_path(planes):
        return sample_triplane_plain(planes, points)
    return _SampleTriplane.apply(planes, points.float().contiguous())
