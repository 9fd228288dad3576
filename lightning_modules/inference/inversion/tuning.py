"""Both phases of pivotal tuning (arXiv 2106.05744, section 3): the latent, then the generator."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.errors import DataError
from lightning_modules.inference.inversion.search import Report
from lightning_modules.inference.inversion.target import InversionTarget
from lightning_modules.training.schedules import warmup_cosine
from models.wildgan import WildGAN


@dataclass(frozen=True)
class Rate:
    """A learning rate at its peak, and the option that sets it."""

    name: str
    peak: float


def fit_latent(
    model: WildGAN, mapped: Tensor, target: InversionTarget, steps: int, lr: float, report: Report
) -> Tensor:
    """The mapped latent (1, W), started at `mapped`, that brings the scene nearest; the generator
    stays as it is."""
    latent = mapped.clone().requires_grad_(True)

    def loss() -> Tensor:
        return target.loss(model.scenes(latent))

    rate = Rate("latent_lr", lr)
    _minimise([latent], loss, steps, rate, lambda *at: report("latent", *at))
    return latent.detach()


def tune_generator(
    model: WildGAN, mapped: Tensor, target: InversionTarget, steps: int, lr: float, report: Report
) -> WildGAN:
    """A copy of the generator, tuned at a mapped latent (1, W) that stays as it is.

    What is minimised is the distance plus the mean squared error of pixels. The mapping takes no
    part. Gradients are off again in the copy.
    """
    tuned = deepcopy(model).requires_grad_(True)
    tuned.mapping.requires_grad_(False)

    def loss() -> Tensor:
        image = target.image(tuned.scenes(mapped))
        return target.distance(image, target.photo) + F.mse_loss(image, target.photo)

    trained = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    rate = Rate("tuning_lr", lr)
    _minimise(trained, loss, steps, rate, lambda *at: report("generator", *at))
    return tuned.requires_grad_(False)


def _minimise(
    parameters: Sequence[Tensor],
    loss: Callable[[], Tensor],
    steps: int,
    rate: Rate,
    report: Callable[[int, int, float], None],
) -> None:
    """Adam, whose learning rate falls to zero along a cosine; DataError once it diverges."""
    optimizer = torch.optim.Adam(parameters, rate.peak, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate.peak * warmup_cosine(step, 0, steps)
        value = loss()
        _check_finite(value, step, rate)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        report(step + 1, steps, float(value.detach()))
    for parameter in parameters:
        _check_finite(parameter, steps, rate)


def _check_finite(values: Tensor, step: int, rate: Rate) -> None:
    if not values.isfinite().all():
        raise DataError(
            f"The inversion has diverged after {step} steps at {rate.name} {rate.peak}: lower "
            f"--{rate.name}."
        )
