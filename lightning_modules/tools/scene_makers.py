"""From a checkpoint to scenes, whichever system it holds."""

from dataclasses import dataclass
from typing import Protocol

import torch

from datamodules.errors import DataError
from lightning_modules.loading import LoadedPrior, load_generator
from lightning_modules.tools.sampling_options import SamplingOptions
from models.autoencoder import TokenAutoencoder
from models.priors.conditions import Conditions
from models.priors.sampling import SampleNoise, TokenSampling
from models.scenes import Scenes


class SceneMaker(Protocol):
    """What the tools need of a system."""

    @property
    def checkpoint(self) -> str:
        """The file it is from, for errors."""

    @property
    def autoencoder(self) -> TokenAutoencoder:
        """From photographs and tokens to scenes."""

    @property
    def classes(self) -> int | None:
        """How many classes it draws scenes of, 0 if it knows none, None if it can't draw scenes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, in the order of their labels, as far as they are known."""

    def generate(self, conditions: Conditions, noise: SampleNoise) -> Scenes:
        """B scenes, one a seed of `noise`; DataError if the system can't."""


@dataclass(frozen=True)
class PhotoScenes:
    """Scenes of photographs and tokens, by a stage-1 model; it draws none."""

    checkpoint: str
    autoencoder: TokenAutoencoder
    classes: None = None
    names: tuple[str, ...] = ()

    def generate(self, conditions: Conditions, noise: SampleNoise) -> Scenes:
        """Raise DataError."""
        raise draws_none(self.checkpoint)


@dataclass(frozen=True)
class PriorScenes:
    """Scenes drawn from a prior, and those of its stage-1 model.

    sampling: how tokens are drawn; dtype: see `TokenPrior.generate`.
    """

    checkpoint: str
    prior: LoadedPrior
    sampling: TokenSampling
    dtype: torch.dtype

    @property
    def autoencoder(self) -> TokenAutoencoder:
        """The stage-1 model."""
        return self.prior.generator.autoencoder

    @property
    def classes(self) -> int:
        """How many classes the prior knows."""
        return self.prior.generator.prior.kinds.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.prior.classes

    def generate(self, conditions: Conditions, noise: SampleNoise) -> Scenes:
        """B scenes, one a seed of `noise`."""
        return self.prior.generator.generate(conditions, noise, self.sampling, self.dtype)


def draws_none(checkpoint: str) -> DataError:
    """What to raise where a stage-1 checkpoint is to draw scenes."""
    return DataError(
        f"{checkpoint} is a stage-1 checkpoint: give photographs with --images, or scenes with "
        "--tokens."
    )


def open_maker(
    checkpoint: str, stage1: str | None, options: SamplingOptions, device: str
) -> SceneMaker:
    """What makes scenes of a checkpoint, on a device; see `load_generator`.

    Raises:
        DataError: an option is outside its range.
    """
    found = load_generator(checkpoint, stage1)
    if isinstance(found, TokenAutoencoder):
        return PhotoScenes(checkpoint, found.to(device))
    sampling = options.sampling(found.sampling)
    return PriorScenes(checkpoint, found.to(device), sampling, options.dtype)


def open_stage1(checkpoint: str, stage1: str | None, device: str) -> TokenAutoencoder:
    """The stage-1 model of a checkpoint, or the one its prior belongs to."""
    return stage1_of(load_generator(checkpoint, stage1)).to(device)


def stage1_of(loaded: TokenAutoencoder | LoadedPrior) -> TokenAutoencoder:
    """A stage-1 model itself, or the one a prior belongs to."""
    return loaded if isinstance(loaded, TokenAutoencoder) else loaded.generator.autoencoder
