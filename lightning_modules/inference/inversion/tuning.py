"""Both phases of pivotal tuning (arXiv 2106.05744, section 3): the latent, then the generator."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.errors import DataError
from lightning_modules.inference.inversion.search import Report
from lightning_modules.inference.inversion.target import InversionTarget
from lightning_modules.training.schedules import warmup_cosine
from models.wildgan import WildGAN


def fit_latent(
    model: WildGAN, mapped: Tensor, target: InversionTarget, steps: int, lr: float, report: Report
) -> Tensor:
    """The mapped latent (1, W), started at `mapped`, that brings the scene nearest; the generator
    stays as it is."""
    latent = mapped.clone().requires_grad_(True)

    def loss() -> Tensor:
        return target.loss(model.scenes(latent))

    _minimise([latent], loss, steps, lr, "latent_lr", lambda *at: report("latent", *at))
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
    _minimise(trained, loss, steps, lr, "tuning_lr", lambda *at: report("generator", *at))
    return tuned.requires_grad_(False)


def _minimise(
    parameters: Sequence[Tensor],
    loss: Callable[[], Tensor],
    steps: int,
    lr: float,
    knob: str,
    report: Callable[[int, int, float], None],
) -> None:
    """Adam, whose learning rate falls from `lr` to zero along a cosine.

    DataError once it diverges, with the option `knob` that sets the rate.
    """
    optimizer = torch.optim.Adam(parameters, lr, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * warmup_cosine(step, 0, steps)
        value = loss()
        _check_finite(value, step, lr, knob)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        report(step + 1, steps, float(value.detach()))
    for parameter in parameters:
        _check_finite(parameter, steps, lr, knob)


def _check_finite(values: Tensor, step: int, lr: float, knob: str) -> None:
    if not values.isfinite().all():
        raise DataError(
            f"The inversion has diverged after {step} steps at {knob} {lr}: lower --{knob}."
        )
