"""Muon for the weights of linear layers, AdamW for all other parameters, as one optimiser."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the iteration's polynomial: steep at 0, and within 0.7 to 1.2 around 1."""

ROUNDS = 5
"""Of the iteration."""

MOMENTUM = 0.95

ADAMS_UPDATE = 0.2
"""Root mean square of the entries of AdamW's updates, of the learning rate; with it, one learning
rate does for both (Liu et al., arXiv 2502.16982, section 2.2)."""

NARROWEST = 16
"""Least side of a matrix that is orthogonalised: of fewer rows there is little to balance."""


class MuonAdamW(torch.optim.AdamW):
    """AdamW, but weights of linear layers move along the orthogonalised mean of their gradients
    (Muon, Jordan et al. 2024).

    Ours beside `torch.optim.Muon`, whose products are in bfloat16 everywhere: on a CPU without
    bf16 units a step of 1.2 M parameters took it 2.3 s, several times all else of a training step.
    And it is one optimiser, as a step counts for one.

    As fused AdamW does, it leaves everything as it is where the attribute `found_inf`, () float32,
    is 1, without asking the device.

    Args:
        network: what is optimised.
        lr, betas, weight_decay: as of AdamW; matrices decay, vectors do not.
    """

    def __init__(
        self, network: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        hidden = {id(weight): weight for weight in _hidden_weights(network)}
        others = [p for p in network.parameters() if id(p) not in hidden]
        groups = [
            {"params": list(hidden.values()), "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
        ]
        super().__init__(groups, lr=lr, betas=betas, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step both; gradients of linear layers are used up."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        moved = [weight for weight in group["params"] if weight.grad is not None]
        for _, alike in groupby(sorted(moved, key=_shape), key=_shape):
            self._step_alike(list(alike), group["lr"], group["weight_decay"])
        for weight in moved:
            weight.grad = None  # so that AdamW passes over it
        super().step()
        return loss

    def _step_alike(self, weights: list[Tensor], lr: float, decay: float) -> None:
        """Step weights of one shape together."""
        directions, found = [], getattr(self, "found_inf", None)
        moves = 1.0 if found is None else 1 - found  # as a factor: nothing is asked of the device
        for weight in weights:
            state, gradient = self.state[weight], weight.grad
            assert gradient is not None
            if not state:
                state["step"] = torch.zeros(())  # AdamW looks for it when states are loaded
                state["momentum"] = torch.zeros_like(weight)
            if found is not None:
                gradient = torch.where(found == 1, 0.0, gradient)
            mean = state["momentum"].mul_(1 - (1 - MOMENTUM) * moves).add_(gradient)
            directions.append(gradient.add(mean, alpha=MOMENTUM))
        whole = [d.full_tensor() if isinstance(d, DTensor) else d for d in directions]
        size = lr * ADAMS_UPDATE * max(weights[0].shape) ** 0.5
        for weight, update in zip(weights, orthogonalized(torch.stack(whole)), strict=True):
            if isinstance(weight, DTensor):
                mesh, placements = weight.device_mesh, weight.placements
                update = distribute_tensor(update, mesh, placements, src_data_rank=None)
            weight.mul_(1 - lr * decay * moves).sub_(update.to(weight.dtype) * (size * moves))


def orthogonalized(matrices: Tensor) -> Tensor:
    """Matrices (N, A, B) with their singular vectors, and singular values between about 0.7 and
    1.2, by a Newton-Schulz iteration; in bfloat16 on GPUs, else in float32.

    >>> matrix = torch.diag(torch.tensor([3.0, 0.2, 1.0]))[None]
    >>> [round(value, 2) for value in orthogonalized(matrix)[0].diagonal().tolist()]
    [0.75, 1.08, 1.13]
    """
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    is_tall = x.shape[1] > x.shape[2]
    x = x.mT if is_tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    linear, cubic, quintic = COEFFICIENTS
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = linear * x + (cubic * gram + quintic * gram @ gram) @ x
    return x.mT if is_tall else x


def _hidden_weights(network: nn.Module) -> Iterable[Tensor]:
    layers = (module for module in network.modules() if isinstance(module, nn.Linear))
    return (layer.weight for layer in layers if min(layer.weight.shape) >= NARROWEST)


def _shape(weight: Tensor) -> tuple[int, ...]:
    return tuple(weight.shape)
