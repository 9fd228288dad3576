"""An untrained generator of three classes, and checkpoints of it, made in milliseconds."""

from pathlib import Path
from typing import Any

import torch

from models.blocks.field import DensityPrior
from models.blocks.plane_decoder import PlaneSize
from models.spaces import BoxSpace
from models.view_distribution import ViewDistribution
from models.wildgan import BackboneSize, WildGAN
from renderers.ray_sampling import RaySampling

SIDE = 16
CLASSES = ("chair", "mug", "oak tree")


def tiny_gan(
    classes: int = len(CLASSES), *, raw_resolution: int = SIDE, bias: float = 1.0, **given: Any
) -> WildGAN:
    """Scenes differ much between classes and latents; a larger bias makes them denser."""
    torch.manual_seed(0)
    model = WildGAN(
        classes,
        resolution=SIDE,
        raw_resolution=raw_resolution,
        backbone=BackboneSize(8, 12, 2, 128, 16),
        planes=PlaneSize(4, 16),
        field_hidden=8,
        prior=DensityPrior(bias),
        box=BoxSpace(0.6, 1.0),
        views=given.get("views", ViewDistribution(2.0, 40.0)),
        sampling=RaySampling(8, 8, "distance"),
        refiner_widths=(8, 8),
    )
    with torch.no_grad():
        model.field.hidden.weight *= 4
        model.field.out.weight *= 6
    return model.eval().requires_grad_(False)


def save_gan(path: Path, model: WildGAN | None = None) -> str:
    """A checkpoint as `GAN` writes it; its trained weights are not the averaged ones."""
    model = tiny_gan() if model is None else model
    state = model.state_dict()
    weights = {f"generator.{name}": torch.zeros_like(value) for name, value in state.items()}
    weights |= {f"ema.{name}": value for name, value in state.items()}
    classes = list(CLASSES[: model.classes])
    content = {"model": model.recipe(), "state_dict": weights, "classes": classes}
    torch.save(content | {"images_seen": 7}, path)
    return str(path)
