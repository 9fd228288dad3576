"""Images of the scenes that a prior draws."""

from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.augment import Framing
from lightning_modules.evaluation.image_source import DrawnImages
from lightning_modules.evaluation.scene_geometry import scene_geometry
from lightning_modules.inference.scene_makers import PriorScenes


@dataclass(frozen=True)
class PriorImages:
    """Scenes of a prior in the canonical view, at the resolution of its stage-1 model."""

    maker: PriorScenes

    @property
    def name(self) -> str:
        """The prior's checkpoint."""
        return self.maker.checkpoint

    @property
    def classes(self) -> int:
        """How many classes the prior knows."""
        return self.maker.classes

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self.maker.autoencoder.resolution

    @property
    def cameras(self) -> str:
        """From where scenes are seen."""
        return "canonical view"

    @property
    def framing(self) -> Framing:
        """Tokens are of whole photographs."""
        return Framing()

    def draw(self, labels: Sequence[int], seeds: Sequence[int]) -> DrawnImages:
        """B images of labels, -1 any class, and seeds."""
        scenes = self.maker.generate(labels, seeds)
        view = scenes.view(scenes.canonical, self.resolution, self.resolution)
        return DrawnImages(view.rgb, scene_geometry(scenes, scenes.canonical, view))
