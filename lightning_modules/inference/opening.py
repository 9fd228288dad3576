"""Scene makers out of checkpoints: the one place that knows which system a file holds."""

from pathlib import Path

import torch

from datamodules.errors import DataError
from lightning_modules.inference.checkpoint_file import Checkpoint, read_checkpoint
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.inversion.inverted import INVERSION, read_inversion
from lightning_modules.inference.inverted_scenes import InvertedScenes
from lightning_modules.inference.loading import (
    averaged_model,
    load_model,
    load_stage1,
    weights_hash,
    wrong_kind,
)
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_maker import SceneMaker
from lightning_modules.inference.stage1_link import Stage1Link
from lightning_modules.inference.stage1_scenes import Stage1Scenes
from models.autoencoder import TokenAutoencoder
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
    opened = read_checkpoint(checkpoint, kind)
    model = averaged_model(opened).to(device)
    match model:
        case TokenAutoencoder():
            check_unused({"stage1": stage1}, f"{checkpoint} is itself a stage-1 checkpoint")
            return Stage1Scenes(checkpoint, model, options)
        case TokenPrior():
            autoencoder = _stage1_of(opened, stage1).to(device)
            generator = TokenGenerator(model, autoencoder)
            return PriorScenes.opened(opened, generator, options)
        case WildGAN():
            check_unused({"stage1": stage1}, f"{checkpoint} is of a GAN, which has no stage 1")
            if INVERSION in opened.content:
                return InvertedScenes(checkpoint, read_inversion(opened, model, device), options)
            return GANScenes.opened(opened, model, options)
    raise wrong_kind(checkpoint, kind, model)


def open_gan(checkpoint: str) -> GANScenes:
    """The GAN of a checkpoint, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is none, or that of an inverted photograph.
    """
    model, opened = load_model(checkpoint, "checkpoint of a GAN", WildGAN)
    if INVERSION in opened.content:
        raise DataError(f"{checkpoint} is tuned to one photograph: name the GAN it was made from.")
    return GANScenes.opened(opened, model, SamplingOptions())


def _stage1_of(prior: Checkpoint, moved: str | None) -> TokenAutoencoder:
    """The stage-1 model that a prior was trained with, at `moved` or where its checkpoint says."""
    link = prior.part("stage1", Stage1Link)
    found = [Path(moved)] if moved is not None else link.places(prior.path)
    if not found:
        raise DataError(
            f"{prior.path} needs the stage-1 checkpoint {link.path}, which is not there: say where "
            "it is now with --stage1."
        )
    faults = []
    for place in found:
        try:
            autoencoder = load_stage1(place)
        except DataError as error:
            faults.append(error)
            continue
        if (weights := weights_hash(autoencoder)) == link.hash:
            return autoencoder
        faults.append(
            DataError(
                f"{prior.path} was trained on tokens of stage-1 weights {link.hash[:12]}, {place} "
                f"holds {weights[:12]}: name the checkpoint it was trained with in --stage1."
            )
        )
    raise faults[0]
