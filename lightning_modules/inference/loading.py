"""Models out of checkpoints, without the module that trained them."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from datamodules.augment import Framing
from datamodules.errors import DataError
from lightning_modules.inference.inversion.inverted import InvertedPhoto
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.generator import TokenGenerator
from models.priors.conditions import ConditionDropout
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior
from models.recipe import build_model
from models.wildgan import WildGAN

EMA = "ema."
INVERSION = "inversion"
"""Under which a checkpoint of a tuned GAN keeps the latent and the view of the photograph."""


@dataclass(frozen=True)
class LoadedPrior:
    """A prior with its stage-1 model.

    classes: their names in the order of the labels; sampling: how its training drew samples;
    dropout: how often it left conditions open.
    """

    generator: TokenGenerator
    classes: tuple[str, ...]
    sampling: TokenSampling
    dropout: ConditionDropout = ConditionDropout()

    def to(self, device: torch.device | str) -> "LoadedPrior":
        """Move both models to a device."""
        self.generator.prior.to(device)
        self.generator.autoencoder.to(device)
        return self


@dataclass(frozen=True)
class LoadedGAN:
    """A GAN.

    classes: their names in the order of the labels, as far as they are known; framing: of the
    photographs it was trained on.
    """

    model: WildGAN
    classes: tuple[str, ...]
    framing: Framing = Framing()

    def to(self, device: torch.device | str) -> "LoadedGAN":
        """Move it to a device."""
        return replace(self, model=self.model.to(device))


Loaded = TokenAutoencoder | LoadedPrior | LoadedGAN | InvertedPhoto
"""What a checkpoint that makes scenes may hold."""


def load_stage1(path: str | Path) -> TokenAutoencoder:
    """The averaged model of a stage-1 checkpoint, on the CPU, ready to encode and decode.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is no stage-1 checkpoint.
    """
    kind = "stage-1 checkpoint"
    model = averaged_model(read_checkpoint(path, kind), path)
    if not isinstance(model, TokenAutoencoder):
        raise DataError(f"{path} is no {kind}: its model is a {type(model).__name__}.")
    return model


def load_prior(path: str | Path, stage1: str | None = None) -> LoadedPrior:
    """The averaged prior of a stage-2 checkpoint, on the CPU, with the stage-1 model it belongs to.

    Args:
        path: of the stage-2 checkpoint.
        stage1: where the stage-1 checkpoint is now; None looks where training found it.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is no prior's checkpoint, or the stage-1 checkpoint is missing or holds
            other weights than the prior was trained with.
    """
    model = load_generator(path, stage1)
    if not isinstance(model, LoadedPrior):
        kind = "a stage-1 checkpoint" if isinstance(model, TokenAutoencoder) else "of a GAN"
        raise DataError(f"{path} is {kind}: drawing tokens takes one of a prior.")
    return model


def load_gan(path: str | Path) -> LoadedGAN:
    """The averaged generator of a GAN's checkpoint, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is none, or that of an inverted photograph.
    """
    kind = "checkpoint of a GAN"
    content = read_checkpoint(path, kind)
    model = averaged_model(content, path)
    if not isinstance(model, WildGAN):
        raise DataError(f"{path} is no {kind}: its model is a {type(model).__name__}.")
    if INVERSION in content:
        raise DataError(f"{path} is tuned to one photograph: name the GAN it was made from.")
    return _gan(model, content)


def load_generator(path: str | Path, stage1: str | None = None) -> Loaded:
    """What a checkpoint holds, whichever system it is of; see `load_prior`."""
    kind = "checkpoint of a stage-1 model, a prior or a GAN"
    content = read_checkpoint(path, kind)
    model = averaged_model(content, path)
    match model:
        case TokenAutoencoder():
            return model
        case TokenPrior():
            autoencoder = _stage1_of(content["stage1"], path, stage1)
            sampling = TokenSampling(**content.get("sampling", {}))
            generator = TokenGenerator(model, autoencoder)
            dropout = ConditionDropout(**content.get("dropout", {}))
            return LoadedPrior(generator, tuple(content["classes"]), sampling, dropout)
        case WildGAN() if INVERSION in content:
            stored = content[INVERSION]
            return InvertedPhoto(model, stored["mapped"], CanonicalView(**stored["view"]))
        case WildGAN():
            return _gan(model, content)
    raise DataError(f"{path} is no {kind}: its model is a {type(model).__name__}.")


def _gan(model: WildGAN, content: dict[str, Any]) -> LoadedGAN:
    return LoadedGAN(model, tuple(content["classes"]), Framing(**content.get("framing", {})))


def _stage1_of(stored: dict[str, str], path: str | Path, moved: str | None) -> TokenAutoencoder:
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


def read_checkpoint(path: str | Path, kind: str) -> dict[str, Any]:
    """What is in a checkpoint file with a model; `kind` is what the errors call it.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: torch can't read it, or there are no model and weights in it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}: name a file, e.g. best.ckpt.")
    try:
        # Mapped, so that the states of the optimisers are not read.
        content: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path} is no {kind}: torch can't read it.") from error
    if "model" not in content or "state_dict" not in content:
        raise DataError(f"{path} is no {kind}: it holds {sorted(content)}.")
    return content


def averaged_model(content: dict[str, Any], path: str | Path) -> nn.Module:
    """The model of a checkpoint's recipe with its averaged weights, without gradients.

    Raises:
        DataError: the recipe names code that is not ours, or the weights are of another model.
    """
    try:
        model = build_model(content["model"])
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    averaged = {
        name.removeprefix(EMA): value
        for name, value in content["state_dict"].items()
        if name.startswith(EMA)
    }
    try:
        model.load_state_dict(averaged)
    except RuntimeError as error:
        kind = type(model).__name__
        raise DataError(
            f"{path} lacks averaged weights that fit: its model is a {kind}."
        ) from error
    return model.eval().requires_grad_(False)


def weights_hash(model: TokenAutoencoder) -> str:
    """SHA-256 in hex of a model's weights, the same on every device.

    Models of equal hash make equal tokens of equal images.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
