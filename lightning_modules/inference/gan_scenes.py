"""Scenes of a GAN: drawn from latents, or fitted to a photograph by `wild3d invert`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.inversion.inverted import InvertedPhoto
from lightning_modules.inference.loading import LoadedGAN
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from models.autoencoder import CanonicalView
from models.scenes import Scenes
from renderers.cameras import Camera


@dataclass(frozen=True)
class GANScenes:
    """Scenes that a GAN draws.

    truncation: of the latents, see `WildGAN.mapped`.
    """

    checkpoint: str
    loaded: LoadedGAN
    truncation: float = 1.0
    autoencoder: None = None

    @property
    def view(self) -> CanonicalView:
        """The middle of the views of its training."""
        return self.loaded.model.views.canonical()

    @property
    def classes(self) -> int:
        """How many classes the GAN knows."""
        return self.loaded.model.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.loaded.classes

    def judged_views(self, count: int) -> Camera:
        """Cameras (count,) spread over the views that its training judges."""
        return self.loaded.model.views.around(count)

    @torch.no_grad()
    def mapped(self, labels: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Mapped latents (B, W) of labels and seeds, truncated."""
        model = self.loaded.model
        known = torch.tensor(list(labels), device=model.field.out.weight.device)
        # Without classes labels are -1 and not looked at.
        return model.mapped(known.clamp_min(0), seeds, self.truncation)

    @torch.no_grad()
    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """B scenes of labels and seeds."""
        return self.loaded.model.scenes(self.mapped(labels, seeds))

    def check_options(self, labels: Sequence[int], options: SamplingOptions) -> None:
        """DataError if the class is to be left open, which this GAN was not trained for."""
        if self.classes and -1 in labels:
            raise DataError(
                f"{self.checkpoint} is of a GAN that draws scenes of a class only: name classes "
                "instead of any, or all."
            )


@dataclass(frozen=True)
class InvertedScenes:
    """The one scene in a file of `wild3d invert`."""

    checkpoint: str
    photo: InvertedPhoto
    autoencoder: None = None
    classes: None = None
    names: tuple[str, ...] = ()

    @property
    def view(self) -> CanonicalView:
        """That of the photograph."""
        return self.photo.view

    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """The scene (1), whatever is asked for."""
        return self.photo.scenes()

    def check_options(self, labels: Sequence[int], options: SamplingOptions) -> None:
        """DataError if anything was said of drawing."""
        check_unused(options.given, f"{self.checkpoint} holds one scene, nothing is drawn")


def gan_scenes(checkpoint: str, loaded: LoadedGAN, options: SamplingOptions) -> GANScenes:
    """What draws a GAN's scenes.

    Raises:
        DataError: an option is one of tokens, or the truncation is below 0.
    """
    of_tokens = {name: value for name, value in options.given.items() if name != "truncation"}
    check_unused(of_tokens, f"{checkpoint} is of a GAN, which draws no tokens")
    truncation = 1.0 if options.truncation is None else options.truncation
    if not truncation >= 0:
        raise DataError(f"truncation is {truncation}, it must be at least 0: change --truncation.")
    return GANScenes(checkpoint, loaded, truncation)
