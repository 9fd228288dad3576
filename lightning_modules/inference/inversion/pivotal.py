"""Pivotal tuning inversion: a photograph to a scene of a GAN."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.inference.inversion.distance import ImageDistance
from lightning_modules.inference.inversion.inverted import InvertedPhoto
from lightning_modules.inference.inversion.search import (
    Report,
    best_start,
    candidate_latents,
    candidate_views,
)
from lightning_modules.inference.inversion.settings import InversionSettings
from lightning_modules.inference.inversion.target import FitMetrics, InversionTarget
from lightning_modules.inference.inversion.tuning import fit_latent, tune_generator
from lightning_modules.inference.inversion.view_search import nearest_view
from models.wildgan import WildGAN


@dataclass(frozen=True)
class Inversion:
    """A photograph's scene, and how near it came: at the start, with the latent fitted, and with
    the generator tuned."""

    photo: InvertedPhoto
    start: FitMetrics
    latent: FitMetrics
    tuned: FitMetrics


def invert_photo(
    model: WildGAN,
    label: int,
    photo: Tensor,
    distance: ImageDistance,
    settings: InversionSettings,
    report: Report,
) -> Inversion:
    """Fit a generator, which stays as it is, to a photograph (1, 3, S, S) in [0, 1].

    S is the model's resolution, label the class of what is shown. The same arguments give the same
    scene. A view that is not given is improved before and after the latent is fitted.
    """
    targets = [
        InversionTarget(photo, view, distance) for view in candidate_views(model.views, settings)
    ]
    target, start = best_start(model, targets, candidate_latents(model, label, settings), report)
    target = (
        target if settings.view_is_given else nearest_view(target, model.scenes(start), model.views)
    )
    mapped = fit_latent(model, start, target, settings.latent_steps, settings.latent_lr, report)
    target = (
        target
        if settings.view_is_given
        else nearest_view(target, model.scenes(mapped), model.views)
    )
    tuned = tune_generator(model, mapped, target, settings.tuning_steps, settings.tuning_lr, report)
    with torch.no_grad():
        metrics = [
            target.metrics(generator.scenes(latent))
            for generator, latent in ((model, start), (model, mapped), (tuned, mapped))
        ]
    return Inversion(InvertedPhoto(tuned, mapped, target.view), *metrics)
