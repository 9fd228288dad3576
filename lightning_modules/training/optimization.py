"""Optimisers and learning rates of the systems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules.errors import DataError, check_number
from lightning_modules.training.muon import MuonAdamW
from lightning_modules.training.schedules import MOST_IMAGES, warmup_cosine
from models.stored import told

Method = Literal["adamw", "muon"]

BUCKET = 1 << 24
"""Numbers in gradients that are averaged at once."""

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of a parameter."""


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with a learning rate that warms up and then follows a cosine, counted in images.

    lr: peak; warmup: images until it is reached; floor: final share of the peak;
    grad_clip: largest global gradient norm, 0 for no limit; method: `muon` moves the weights of
    linear layers by Muon instead, see `MuonAdamW`.

    Raises DataError for a number outside its range.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    warmup: int = 10_000
    floor: float = 0.0
    grad_clip: float = 1.0
    method: Method = "adamw"

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("lr", self.lr, 0, 10)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise DataError(
                f"betas is {list(self.betas)}, it must be two numbers of at least 0 and below 1."
            )
        check_number("weight_decay", self.weight_decay, 0, 100)
        check_number("warmup", self.warmup, 0, MOST_IMAGES)
        check_number("floor", self.floor, 0, 1)
        check_number("grad_clip", self.grad_clip, 0, 1_000_000)
        if self.method not in get_args(Method):
            raise DataError(f"method is {self.method!r}, it must be 'adamw' or 'muon'.")

    def lr_at(self, images_seen: int, max_images: int) -> float:
        """Learning rate after `images_seen` of `max_images`."""
        return self.lr * warmup_cosine(images_seen, self.warmup, max_images, self.floor)

    def build(self, network: nn.Module) -> Optimizer:
        """An optimiser that decays matrices and leaves vectors (biases, norms) alone."""
        if self.method == "muon":
            return MuonAdamW(network, self.lr, self.betas, self.weight_decay)
        parameters = list(network.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)

    def apply(self, optimizer: Optimizer | LightningOptimizer, lr: float) -> None:
        """Give an optimiser that `build` made a learning rate, and the settings of now: a
        checkpoint brings back those of before."""
        *matrices, vectors = optimizer.param_groups
        for group in matrices:
            group.update(lr=lr, betas=self.betas, weight_decay=self.weight_decay)
        vectors.update(lr=lr, betas=self.betas, weight_decay=0.0)


def clip_gradients(parameters: Sequence[Tensor], limit: float) -> Tensor:
    """Scale the gradients of parameters down to a norm over all of them, 0 for no limit; returns
    the norm before. Nothing is read."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit > 0:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace the gradients of parameters by their means over all processes, bucket by bucket."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    while gradients:
        ends = accumulate(gradient.numel() for gradient in gradients)
        count = max(1, sum(end <= BUCKET for end in ends))
        bucket, gradients = gradients[:count], gradients[count:]
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat.div_(dist.get_world_size()))
        parts = flat.split([gradient.numel() for gradient in bucket])
        means = [part.view_as(own) for part, own in zip(parts, bucket, strict=True)]
        torch._foreach_copy_(bucket, means)


def check_optimizer_states(saved: object, own: Sequence[Optimizer]) -> None:
    """Refuse states in a checkpoint that are not those of such optimisers: torch takes up any, and
    stops at the first step.

    Raises:
        ValueError: says the first part that does not fit.
    """
    if not isinstance(saved, list) or len(saved) != len(own):
        count = len(saved) if isinstance(saved, list) else told(saved)
        raise ValueError(f"its optimizer_states are {count}, not {len(own)}")
    for number, (state, optimizer) in enumerate(zip(saved, own, strict=True)):
        _check_state(state, optimizer, f"optimizer_states.{number}")


def _check_state(saved: object, own: Optimizer, name: str) -> None:
    groups, states = (_part(saved, part, name) for part in ("param_groups", "state"))
    if not isinstance(groups, list) or len(groups) != len(own.param_groups):
        raise ValueError(f"its {name}.param_groups is {told(groups)}, not of this optimiser")
    is_muon = isinstance(own, MuonAdamW)
    for number, (group, ours) in enumerate(zip(groups, own.param_groups, strict=True)):
        place = f"{name}.param_groups.{number}"
        for option in ours.keys() - {"params", "lr", "betas", "weight_decay"}:  # see `apply`
            value = group.get(option, ours[option]) if isinstance(group, Mapping) else None
            if type(value) is not type(ours[option]) or value != ours[option]:
                raise ValueError(f"its {place}.{option} is {told(value)}, not {ours[option]}")
        keys = _part(group, "params", place)
        if not isinstance(keys, list) or len(keys) != len(ours["params"]):
            raise ValueError(f"its {place}.params are not those of the model")
        for key, parameter in zip(keys, ours["params"], strict=True):
            known = isinstance(key, int | str) and isinstance(states, Mapping) and key in states
            parts = MOMENTS if not is_muon or number else ("step", "momentum")
            _check_moments(states[key] if known else {}, parts, parameter, f"{name}.state.{key}")


def _check_moments(saved: object, parts: tuple[str, ...], parameter: Tensor, name: str) -> None:
    """The moments of one parameter; a parameter without a gradient so far has none."""
    if saved == {}:
        return
    for part in parts:
        value, shape = _part(saved, part, name), () if part == "step" else parameter.shape
        fits = isinstance(value, Tensor) and value.is_floating_point() and value.shape == shape
        if not fits or not value.isfinite().all():
            raise ValueError(f"its {name}.{part} is no finite array of shape {list(shape)}")


def _part(saved: object, part: str, name: str) -> Any:
    if not isinstance(saved, Mapping) or part not in saved:
        raise ValueError(f"its {name} is {told(saved)} without {part}")
    return saved[part]
