"""Where pivotal tuning starts: the view and the latent whose rendering is nearest."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lightning_modules.inference.inversion.settings import InversionSettings
from lightning_modules.inference.inversion.target import Aim
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
    model: WildGAN, aims: Sequence[Aim], mapped: Tensor, report: Report
) -> tuple[Aim, Tensor]:
    """Of aims that differ in their view, and latents (N, W), the nearest pair: the aim, and the
    latent (1, W).

    All views are seen of the first latent, and the best `VIEWS_KEPT` of them of every latent.
    """
    mean = model.scenes(mapped[:1])
    distances = []
    for done, aim in enumerate(aims, 1):
        distances.append(float(aim.apart(mean)))
        report("views", done, len(aims), min(distances))
    ranked = sorted(range(len(aims)), key=distances.__getitem__)
    kept = [aims[index] for index in ranked[:VIEWS_KEPT]]
    nearest, start = math.inf, (kept[0], mapped[:1])
    for done, latent in enumerate(mapped.split(1), 1):
        scene = model.scenes(latent)
        for aim in kept:
            if (distance := float(aim.apart(scene))) < nearest:
                nearest, start = distance, (aim, latent)
        report("latents", done, len(mapped), nearest)
    return start
