"""Scenes of photographs and of stored tokens, by a stage-1 model."""

from dataclasses import dataclass
from typing import NoReturn

from datamodules.errors import DataError
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import SceneChoice
from lightning_modules.inference.scene_maker import SceneMaker
from models.autoencoder import CanonicalView, TokenAutoencoder


@dataclass(frozen=True)
class Stage1Scenes(SceneMaker):
    """Scenes of a stage-1 model alone; it draws none."""

    checkpoint: str
    model: TokenAutoencoder
    options: SamplingOptions = SamplingOptions()

    @property
    def view(self) -> CanonicalView:
        """The camera photographs are taken to be seen from."""
        return self.model.view

    @property
    def autoencoder(self) -> TokenAutoencoder:
        """The model."""
        return self.model

    def drawer(self) -> NoReturn:
        """Raise DataError."""
        raise DataError(
            f"{self.checkpoint} is a stage-1 checkpoint, which draws nothing: name one of a prior "
            "or a GAN."
        )

    def token_drawer(self, purpose: str) -> NoReturn:
        """Raise DataError."""
        raise DataError(
            f"{self.checkpoint} is a stage-1 checkpoint: {purpose} draws tokens, name one of a "
            "prior."
        )

    def drawn(self, choice: SceneChoice) -> NoReturn:
        """Raise DataError."""
        raise DataError(
            f"{self.checkpoint} is a stage-1 checkpoint: give photographs with --images, or scenes "
            "with --tokens."
        )
