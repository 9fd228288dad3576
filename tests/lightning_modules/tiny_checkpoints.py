"""Checkpoints of both stages, and photographs, that are made in milliseconds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch
from tiny_model import SIDE, tiny_model

from lightning_modules.cli.arguments import call_flat
from lightning_modules.inference.loading import weights_hash
from models.blocks.vit import ViTSize
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.masked import MaskedPrior
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior
from models.vq3d import VQ3D

CLASSES = ("chair", "mug", "oak tree")


@dataclass(frozen=True)
class TinyFiles:
    """Paths of a stage-1 checkpoint, two priors over its tokens, and two photographs."""

    stage1: str
    autoregressive: str
    masked: str
    first: str
    second: str


def run(verb: Callable[..., None], checkpoint: str, **options: Any) -> None:
    """Call a verb as the command line does."""
    call_flat(verb, {"checkpoint": checkpoint} | options)


def spread_model(seed: int = 0) -> VQ3D:
    """An untrained model that uses several codes."""
    model = tiny_model(seed)
    rng = torch.Generator().manual_seed(seed)
    model.calibrate(torch.rand(32, 3, SIDE, SIDE, generator=rng), rng)
    return model.eval().requires_grad_(False)


def save_stage1(model: VQ3D, path: Path) -> str:
    weights = {f"ema.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights, "model": model.recipe()}, path)
    return str(path)


def save_prior(
    prior: TokenPrior,
    model: VQ3D,
    stage1: str,
    path: Path,
    sampling: TokenSampling | None = None,
    dropout: ConditionDropout = ConditionDropout(),
) -> str:
    """Without `sampling` as before it was stored."""
    content = {
        "state_dict": {f"ema.{name}": value for name, value in prior.state_dict().items()},
        "model": prior.recipe(),
        "stage1": {"path": stage1, "hash": weights_hash(model)},
        "classes": list(CLASSES),  # of the data, whether the prior knows classes or not
        "dropout": asdict(dropout),
        "images_seen": 7,
    }
    if sampling is not None:
        content["sampling"] = asdict(sampling)
    torch.save(content, path)
    return str(path)


def autoregressive(model: VQ3D, classes: int = len(CLASSES)) -> TokenPrior:
    torch.manual_seed(0)
    size, kinds = ViTSize(16, 1, 2), ConditionKinds(classes)
    return attentive(AutoregressivePrior(model.codes, model.layout, size, kinds))


def masked(model: VQ3D) -> TokenPrior:
    torch.manual_seed(0)
    kinds = ConditionKinds(len(CLASSES), size=True, time_of_day=True)
    return attentive(MaskedPrior(model.codes, model.layout, ViTSize(16, 1, 2), kinds))


def attentive(prior: TokenPrior) -> TokenPrior:
    """Make an untrained prior depend on its conditions and predict some codes more than others."""
    with torch.no_grad():
        prior.prefix.label.weight *= 20
        prior.head.weight *= 4
        for block in prior.transformer.blocks:
            for parameter in block.parameters():
                parameter *= 3
    return prior


def save_photo(path: Path, seed: int) -> str:
    """Noise with a brighter or darker half."""
    pixels = np.random.default_rng(seed).integers(0, 128, (SIDE, SIDE, 3))
    pixels[:, : SIDE // 2] += 127 * (seed % 2)
    iio.imwrite(path, pixels.astype(np.uint8))
    return str(path)
