"""The scene of a photograph that a GAN was fitted to by `wild3d invert`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from datamodules.classes import file_part
from datamodules.errors import DataError
from lightning_modules.inference.gan_scenes import GANMaker
from lightning_modules.inference.inversion.inverted import InvertedPhoto
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_choice import SceneChoice, WantedScene
from models.autoencoder import CanonicalView


@dataclass(frozen=True)
class InvertedScenes(GANMaker):
    """The one scene in a file of `wild3d invert`; nothing is drawn."""

    checkpoint: str
    photo: InvertedPhoto
    options: SamplingOptions = SamplingOptions()

    @property
    def view(self) -> CanonicalView:
        """That of the photograph."""
        return self.photo.view

    def drawer(self) -> NoReturn:
        """Raise DataError."""
        raise DataError(
            f"{self.checkpoint} holds one inverted photograph: show it with `wild3d video` or "
            "`wild3d mesh`."
        )

    def wanted(self, choice: SceneChoice) -> list[WantedScene]:
        """The one scene; DataError if anything was said of which or how."""
        said = {name: value or None for name, value in asdict(choice).items()}
        why = f"{self.checkpoint} holds the one scene of a photograph"
        check_unused(said | self.options.given, why)
        return [WantedScene(file_part(Path(self.checkpoint).stem), self.photo.scenes)]
