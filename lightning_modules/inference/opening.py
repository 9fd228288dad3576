"""Scene makers out of checkpoints: the one place that knows which system a file holds."""

from pathlib import Path
from typing import Any

import torch

from datamodules.errors import DataError
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.inversion.inverted import INVERSION, InvertedPhoto
from lightning_modules.inference.inverted_scenes import InvertedScenes
from lightning_modules.inference.loading import (
    averaged_model,
    load_model,
    load_stage1,
    read_checkpoint,
    weights_hash,
    wrong_kind,
)
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_maker import SceneMaker
from lightning_modules.inference.stage1_scenes import Stage1Scenes
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.generator import TokenGenerator
from models.priors.token_prior import TokenPrior
from models.wildgan import WildGAN


def open_maker(
    checkpoint: str,
    stage1: str | None = None,
    options: SamplingOptions = SamplingOptions(),
    device: torch.device | str = "cpu",
) -> SceneMaker:
    """The maker of scenes in a checkpoint, whichever system it is of, on a device.

    Args:
        stage1: where a prior's stage-1 checkpoint is now; None looks where training found it.
        options: how scenes are drawn.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file holds none; or the stage-1 checkpoint is missing, or holds other weights
            than the prior was trained with; or an option is outside its range, or not of this
            system.
    """
    kind = "checkpoint of a stage-1 model, a prior or a GAN"
    content = read_checkpoint(checkpoint, kind)
    model = averaged_model(content, checkpoint).to(device)
    match model:
        case TokenAutoencoder():
            check_unused({"stage1": stage1}, f"{checkpoint} is itself a stage-1 checkpoint")
            return Stage1Scenes(checkpoint, model, options)
        case TokenPrior():
            autoencoder = _stage1_of(content["stage1"], checkpoint, stage1).to(device)
            generator = TokenGenerator(model, autoencoder)
            return PriorScenes.opened(checkpoint, content, generator, options)
        case WildGAN():
            check_unused({"stage1": stage1}, f"{checkpoint} is of a GAN, which has no stage 1")
            if INVERSION in content:
                return InvertedScenes(checkpoint, _inverted(content, model, device), options)
            return GANScenes.opened(checkpoint, content, model, options)
    raise wrong_kind(checkpoint, kind, model)


def open_gan(checkpoint: str) -> GANScenes:
    """The GAN of a checkpoint, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is none, or that of an inverted photograph.
    """
    model, content = load_model(checkpoint, "checkpoint of a GAN", WildGAN)
    if INVERSION in content:
        raise DataError(f"{checkpoint} is tuned to one photograph: name the GAN it was made from.")
    return GANScenes.opened(checkpoint, content, model, SamplingOptions())


def _inverted(content: dict[str, Any], model: WildGAN, device: torch.device | str) -> InvertedPhoto:
    stored = content[INVERSION]
    return InvertedPhoto(model, stored["mapped"].to(device), CanonicalView(**stored["view"]))


def _stage1_of(stored: dict[str, str], path: str, moved: str | None) -> TokenAutoencoder:
    """The stage-1 model of the prior in `path`, which stored its own path and hash."""
    found = stored["path"] if moved is None else moved
    if moved is None and not Path(found).is_file():
        raise DataError(
            f"{path} needs the stage-1 checkpoint {found}, which is not there: say where it is now "
            "with --stage1."
        )
    autoencoder = load_stage1(found)
    actual = weights_hash(autoencoder)
    if actual != stored["hash"]:
        raise DataError(
            f"{path} was trained on tokens of stage-1 weights {stored['hash'][:12]}, {found} holds "
            f"{actual[:12]}: name the checkpoint it was trained with in --stage1."
        )
    return autoencoder
