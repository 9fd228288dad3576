"""A stage-1 model whose scenes lie in boxes, a prior over its tokens, and layouts of theirs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from tiny_checkpoints import CLASSES, save_photo, save_prior, save_stage1

from models.autoencoder import CanonicalView
from models.blocks.field import DensityPrior
from models.blocks.plane_decoder import PlaneSize
from models.blocks.plane_upsampler import UpsamplerSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.gina3d import GINA3D
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.masked import MaskedPrior
from renderers.ray_sampling import RaySampling

SIDE = 16


@dataclass(frozen=True)
class BoxFiles:
    """Paths of checkpoints of both stages, and of a photograph."""

    stage1: str
    prior: str
    photo: str


def box_model(seed: int = 0) -> GINA3D:
    """An untrained model that uses several codes, with dense scenes of different sizes."""
    torch.manual_seed(seed)
    width = ViTSize(16, 1, 2)
    model = GINA3D(
        resolution=SIDE,
        patch=4,
        grid=2,
        encoder=width,
        lifting=width,
        codebook=CodebookSize(16, 8),
        decoder=width,
        upsampler=UpsamplerSize(64, 16),
        planes=PlaneSize(4, 8),
        field_hidden=8,
        prior=DensityPrior(20.0),
        view=CanonicalView(radius=2.5),
        reach=0.8,
        background=0.5,
        sampling=RaySampling(8, 8, "distance"),
    )
    rng = torch.Generator().manual_seed(seed)
    model.calibrate(torch.rand(32, 3, SIDE, SIDE, generator=rng), rng)
    with torch.no_grad():
        model.to_size.weight *= 2
        model.field.hidden.weight *= 4
        model.field.out.weight *= 6
    return model.eval().requires_grad_(False)


def save_boxes(folder: Path) -> BoxFiles:
    model = box_model()
    stage1 = save_stage1(model, folder / "stage1.ckpt")
    torch.manual_seed(1)
    kinds = ConditionKinds(len(CLASSES), size=True, time_of_day=True)
    prior = MaskedPrior(model.codes, model.layout, ViTSize(16, 1, 2), kinds)
    with torch.no_grad():  # conditions matter, and some codes are more probable than others
        prior.head.weight *= 4
        prior.prefix.label.weight *= 20
        prior.prefix.time_of_day.weight *= 20
        for block in prior.transformer.blocks:
            for parameter in block.parameters():
                parameter *= 2
    path = save_prior(prior, model, stage1, folder / "prior.ckpt", dropout=ConditionDropout(0.5))
    return BoxFiles(stage1, path, save_photo(folder / "photo.png", 1))


def write_layout(folder: Path, layout: Any, name: str = "street.yaml") -> str:
    """A layout, or a text in its place."""
    text = layout if isinstance(layout, str) else yaml.safe_dump(layout, sort_keys=False)
    (folder / name).write_text(text)
    return str(folder / name)
