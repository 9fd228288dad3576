"""Tensors as the Triton kernels take them, and how the kernels are launched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from renderers.cpu.triplane_mlp_layers import Activation
from renderers.dispatch import tf32_allowed

TILE, WARPS = 64, 4
"""Points that a program works on at once, and its warps: the tiles of Hopper's tensor cores, and
what leaves the backward's sums in registers."""
EXACT_TILE, EXACT_WARPS = 32, 8
"""The same for float32 products without tensor cores, which take more registers."""
PROGRAMS_PER_PROCESSOR = 4
"""Programs of a backward on each multiprocessor; each keeps sums of weight gradients."""


def as_rows(planes: Tensor) -> Tensor:
    """Planes (B, 3, C, H, W) as contiguous (B, 3, H, W, C), not copied if they lie so in memory."""
    return planes.permute(0, 1, 3, 4, 2).contiguous()


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """Undo `as_rows`, in the type of `like`."""
    return rows.to(like.dtype).permute(0, 1, 4, 2, 3)


def pack(weights: Sequence[Tensor]) -> Tensor:
    """All weights, in the order of `MLPWeights.flat`, one after the other in float32."""
    return torch.cat([weight.flatten() for weight in weights]).float()


def unpack(packed: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Undo `pack`, in the types of `like`."""
    parts = packed.split([weight.numel() for weight in like])
    return [part.view_as(weight).to(weight.dtype) for part, weight in zip(parts, like, strict=True)]


def padded(size: int) -> int:
    """The size of a tile that holds `size`: a power of two, at least 16 for tensor cores."""
    return max(16, 1 << (size - 1).bit_length())


def constants(planes: Tensor, weights: Sequence[Tensor], activation: Activation) -> dict[str, Any]:
    """What the kernels are compiled for, by the names of their arguments."""
    (width, channels), features = weights[0].shape, len(weights[3]) - 1
    exact = planes.dtype == torch.float32 and not tf32_allowed()
    return {
        "C": channels,
        "K": width,
        "F": features,
        "MIDDLE": len(weights) // 2 - 2,
        "CP": padded(channels),
        "KP": padded(width),
        "FP": padded(features),
        "SIGMOID": activation == "sigmoid",
        "PRECISION": "ieee" if exact else "tf32",
        "M": EXACT_TILE if exact else TILE,
        "num_warps": EXACT_WARPS if exact else WARPS,
        "num_stages": 1,  # pipelined taps would take the registers and shared memory of the sums
    }


def programs(device: torch.device, tiles: int) -> int:
    """How many programs share the tiles of a backward: few, for each writes sums of its own."""
    if device.type != "cuda":  # interpreted
        return min(tiles, 3)
    count = torch.cuda.get_device_properties(device).multi_processor_count
    return min(tiles, count * PROGRAMS_PER_PROCESSOR)
