"""Optimisers and learning rates of the systems."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import nn
from torch.optim import Optimizer

from datamodules.errors import DataError, check_number
from lightning_modules.training.schedules import MOST_IMAGES, warmup_cosine


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with a learning rate that warms up and then follows a cosine, counted in images.

    lr: peak; warmup: images until it is reached; floor: final share of the peak;
    grad_clip: largest global gradient norm, 0 for no limit.

    Raises DataError for a number outside its range.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    warmup: int = 10_000
    floor: float = 0.0
    grad_clip: float = 1.0

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

    def lr_at(self, images_seen: int, max_images: int) -> float:
        """Learning rate after `images_seen` of `max_images`."""
        return self.lr * warmup_cosine(images_seen, self.warmup, max_images, self.floor)

    def build(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """AdamW that decays matrices and leaves vectors (biases, norms) alone."""
        parameters = list(parameters)
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)

    def apply(self, optimizer: Optimizer | LightningOptimizer, lr: float) -> None:
        """Give an optimiser that `build` made a learning rate, and the settings of now: a
        checkpoint brings back those of before."""
        decays = (self.weight_decay, 0.0)
        for group, decay in zip(optimizer.param_groups, decays, strict=False):
            group.update(lr=lr, betas=self.betas, weight_decay=decay)
