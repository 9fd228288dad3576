"""From a checkpoint to scenes, whichever system it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.camera_paths import trajectory_cameras
from lightning_modules.inference.gan_scenes import GANScenes, InvertedScenes, gan_scenes
from lightning_modules.inference.inversion.inverted import InvertedPhoto
from lightning_modules.inference.loading import LoadedGAN, LoadedPrior, load_generator
from lightning_modules.inference.prior_settings import (
    SharedConditions,
    set_decoding,
    shared_conditions,
)
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.priors.sampling import SampleNoise, TokenSampling
from models.scenes import Scenes
from renderers.cameras import Camera


class SceneMaker(Protocol):
    """What the tools need of a system."""

    @property
    def checkpoint(self) -> str:
        """The file it is from, for errors."""

    @property
    def view(self) -> CanonicalView:
        """The camera that scenes are made for."""

    @property
    def autoencoder(self) -> TokenAutoencoder | None:
        """From photographs and tokens to scenes, None if it makes none of them."""

    @property
    def classes(self) -> int | None:
        """How many classes it draws scenes of, 0 if it knows none, None if it can't draw scenes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, in the order of their labels, as far as they are known."""

    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """B scenes of labels, -1 any class, and seeds; DataError if the system can't."""

    def check_options(self, labels: Sequence[int], options: SamplingOptions) -> None:
        """DataError if it can't draw scenes of these labels, or if something was said that does
        nothing for them."""


@dataclass(frozen=True)
class PhotoScenes:
    """Scenes of photographs and tokens, by a stage-1 model; it draws none."""

    checkpoint: str
    autoencoder: TokenAutoencoder
    classes: None = None
    names: tuple[str, ...] = ()

    @property
    def view(self) -> CanonicalView:
        """The camera photographs are taken to be seen from."""
        return self.autoencoder.view

    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """Raise DataError."""
        raise draws_none(self.checkpoint)

    def check_options(self, labels: Sequence[int], options: SamplingOptions) -> None:
        """Raise DataError."""
        raise draws_none(self.checkpoint)


@dataclass(frozen=True)
class PriorScenes:
    """Scenes drawn from a prior, and those of its stage-1 model.

    sampling: how tokens are drawn; shared: conditions beside the class; dtype: see
    `TokenPrior.generate`.
    """

    checkpoint: str
    prior: LoadedPrior
    sampling: TokenSampling
    shared: SharedConditions
    dtype: torch.dtype

    @property
    def autoencoder(self) -> TokenAutoencoder:
        """The stage-1 model."""
        return self.prior.generator.autoencoder

    @property
    def view(self) -> CanonicalView:
        """The camera photographs are taken to be seen from."""
        return self.autoencoder.view

    @property
    def classes(self) -> int:
        """How many classes the prior knows."""
        return self.prior.generator.prior.kinds.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.prior.classes

    def judged_views(self, count: int) -> Camera:
        """Cameras (count,) from left to right within the views that stage 1 judges."""
        return trajectory_cameras(self.view, "front_arc", count)

    def tokens(
        self, labels: Sequence[int], seeds: Sequence[int], given: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, T) of labels and seeds; see `TokenPrior.generate` for `given`."""
        generator = self.prior.generator
        device = generator.prior.head.weight.device
        conditions, noise = self.shared.of(labels, device), SampleNoise(seeds, device)
        return generator.tokens(conditions, noise, self.sampling, given, self.dtype)

    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """B scenes of labels, -1 any class, and seeds."""
        return self.autoencoder.decode_tokens(self.tokens(labels, seeds))

    def check_options(self, labels: Sequence[int], options: SamplingOptions) -> None:
        """DataError if guidance is asked for where there is no condition that it could stress, or a
        class is left open that training never left open."""
        never = self.prior.dropout.everything == self.prior.dropout.each == 0
        if self.classes and never and -1 in labels:
            raise DataError(
                f"{self.checkpoint} was trained with the class always given (`dropout`): name "
                "classes instead of any."
            )
        if self.shared.open and set(labels) == {-1}:
            check_unused(
                {"guidance": options.guidance}, "there is no class or other condition it stresses"
            )


def draws_none(checkpoint: str) -> DataError:
    """What to raise where a stage-1 checkpoint is to draw scenes."""
    return DataError(
        f"{checkpoint} is a stage-1 checkpoint: give photographs with --images, or scenes with "
        "--tokens."
    )


def autoencoder_of(maker: SceneMaker) -> TokenAutoencoder:
    """What makes scenes of photographs and tokens; DataError if nothing of this system does."""
    if maker.autoencoder is None:
        raise _encodes_nothing(maker.checkpoint)
    return maker.autoencoder


def _encodes_nothing(checkpoint: str) -> DataError:
    return DataError(
        f"{checkpoint} is of a GAN, which makes scenes neither of photographs in one pass nor of "
        "tokens: fit it to a photograph with `wild3d invert`, or name a stage-1 checkpoint."
    )


def open_maker(
    checkpoint: str, stage1: str | None, options: SamplingOptions, device: str
) -> PhotoScenes | PriorScenes | GANScenes | InvertedScenes:
    """What makes scenes of a checkpoint, on a device; see `load_generator`.

    Raises:
        DataError: an option is outside its range, or not of this system.
    """
    found = load_generator(checkpoint, stage1).to(device)
    if isinstance(found, TokenAutoencoder):
        check_unused({"stage1": stage1}, f"{checkpoint} is itself a stage-1 checkpoint")
        return PhotoScenes(checkpoint, found)
    if isinstance(found, LoadedPrior):
        return _prior_scenes(checkpoint, found, options)
    check_unused({"stage1": stage1}, f"{checkpoint} is of a GAN, which has no stage 1")
    if isinstance(found, InvertedPhoto):
        return InvertedScenes(checkpoint, found)
    return gan_scenes(checkpoint, found, options)


def open_drawer(
    checkpoint: str, stage1: str | None, options: SamplingOptions, device: str
) -> PriorScenes | GANScenes:
    """What draws scenes from a checkpoint, on a device; see `load_generator`.

    Raises:
        DataError: nothing does, or an option is outside its range, or not of this system.
    """
    maker = open_maker(checkpoint, stage1, options, device)
    if isinstance(maker, PhotoScenes):
        raise DataError(
            f"{checkpoint} is a stage-1 checkpoint, which draws nothing: name one of a prior or a "
            "GAN."
        )
    if isinstance(maker, InvertedScenes):
        raise DataError(
            f"{checkpoint} holds one inverted photograph: show it with `wild3d video` or "
            "`wild3d mesh`."
        )
    return maker


def _prior_scenes(checkpoint: str, loaded: LoadedPrior, options: SamplingOptions) -> PriorScenes:
    why = f"{checkpoint} is of a prior, only a GAN's latents can be truncated"
    check_unused({"truncation": options.truncation}, why)
    prior = loaded.generator.prior
    set_decoding(prior, checkpoint, options)
    shared = shared_conditions(options, prior.kinds, checkpoint)
    sampling = options.changed(loaded.sampling)
    if sampling.guided and loaded.dropout.everything == 0:
        raise DataError(
            f"guidance is {sampling.guidance}, and {checkpoint} was never trained without "
            "conditions (`dropout.everything`): leave --guidance out."
        )
    return PriorScenes(checkpoint, loaded, sampling, shared, options.dtype)


def open_stage1(checkpoint: str, stage1: str | None, device: str) -> TokenAutoencoder:
    """The stage-1 model of a checkpoint, or the one its prior belongs to; DataError for a GAN."""
    found = load_generator(checkpoint, stage1)
    if isinstance(found, LoadedGAN | InvertedPhoto):
        raise _encodes_nothing(checkpoint)
    if isinstance(found, LoadedPrior):
        return found.generator.autoencoder.to(device)
    check_unused({"stage1": stage1}, f"{checkpoint} is itself a stage-1 checkpoint")
    return found.to(device)
