"""Exponential moving average of a model's weights, with its half-life counted in images."""

import copy
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def averaged_copy(model: Model) -> Model:
    """A frozen copy of `model` for `update_average` to move."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def ema_decay(batch: int, images_seen: int, half_life: float, ramp_up: float) -> float:
    """Share of the average kept at one step of `batch` images: 0.5 ** (batch / half-life).

    Early on the half-life is held to `ramp_up` times the images seen, so that the average forgets
    the initial weights (EG3D and StyleGAN2 use 0.05).
    """
    half_life = min(half_life, images_seen * ramp_up)
    return 0.5 ** (batch / max(half_life, 1e-8))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move `average` towards `model`, statistics in buffers too; integer buffers are copied."""
    targets = dict(model.named_parameters())
    names, means = zip(*average.named_parameters(), strict=True)
    torch._foreach_lerp_(list(means), [targets[name].detach() for name in names], 1 - decay)
    for buffer, value in zip(average.buffers(), model.buffers(), strict=True):
        if buffer.is_floating_point():
            buffer.lerp_(value, 1 - decay)
        else:
            buffer.copy_(value)
