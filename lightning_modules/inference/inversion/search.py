"""Start of pivotal tuning: the view and the latent whose rendering is nearest."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lightning_modules.inference.inversion.settings import InversionSettings
from lightning_modules.inference.inversion.target import InversionTarget
from models.autoencoder import CanonicalView
from models.blocks.mapping import class_means
from models.view_distribution import ViewDistribution
from models.wildgan import MEAN_SAMPLES, WildGAN
from renderers.view_sampling import direction_angles

Report = Callable[[str, int, int, float], None]
"""Takes what is being done, how much of it is, out of how much, and the loss."""

VIEWS_KEPT = 4
"""Views that the mean of the class leaves in question: it is too vague to tell them apart."""


def candidate_views(views: ViewDistribution, settings: InversionSettings) -> list[CanonicalView]:
    """Views far apart out of a distribution, or the one that is given."""
    middle = views.canonical()
    if settings.yaw_degrees is not None and settings.pitch_degrees is not None:
        yaw, pitch = math.radians(settings.yaw_degrees), math.radians(settings.pitch_degrees)
        return [replace(middle, yaw=yaw, pitch=pitch)]
    rng = torch.Generator().manual_seed(settings.seed)
    yaws, pitches = direction_angles(views.directions(1, settings.views, rng)[0])
    angles = zip(yaws.tolist(), pitches.tolist(), strict=True)
    return [replace(middle, yaw=yaw, pitch=pitch) for yaw, pitch in angles]


@torch.no_grad()
def candidate_latents(model: WildGAN, label: int, settings: InversionSettings) -> Tensor:
    """Mapped latents (1 + N, W) of a class: their mean, and N at random."""
    device = model.field.out.weight.device
    labels = torch.tensor([label], device=device)
    rng = torch.Generator().manual_seed(settings.seed)
    latents = torch.randn(settings.candidates, model.backbone.latent, generator=rng).to(device)
    mean = class_means(model.mapping, labels, MEAN_SAMPLES, rng)
    return torch.cat([mean, model.mapping(latents, labels.expand(len(latents)))])


@torch.no_grad()
def best_start(
    model: WildGAN, targets: Sequence[InversionTarget], mapped: Tensor, report: Report
) -> tuple[InversionTarget, Tensor]:
    """Of targets that differ in their view, and latents (N, W), the nearest pair: the target, and
    the latent (1, W).

    All views are seen of the first latent, and the best `VIEWS_KEPT` of them of every latent.
    """
    mean = model.scenes(mapped[:1])
    distances = []
    for done, target in enumerate(targets, 1):
        distances.append(float(target.loss(mean)))
        report("views", done, len(targets), min(distances))
    ranked = sorted(range(len(targets)), key=distances.__getitem__)
    kept = [targets[index] for index in ranked[:VIEWS_KEPT]]
    nearest, start = math.inf, (kept[0], mapped[:1])
    for done, latent in enumerate(mapped.split(1), 1):
        scene = model.scenes(latent)
        for target in kept:
            if (distance := float(target.loss(scene))) < nearest:
                nearest, start = distance, (target, latent)
        report("latents", done, len(mapped), nearest)
    return start
