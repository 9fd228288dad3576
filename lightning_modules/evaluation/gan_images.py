"""Images of a GAN to be measured: seen from where training sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.augment import Framing
from lightning_modules.evaluation.image_source import DrawnImages
from lightning_modules.evaluation.scene_geometry import scene_geometry
from models.wildgan import WildGAN

CAMERA_SEED = 1 << 32
"""Added to the seed of a scene, for that of its camera."""


@dataclass(frozen=True)
class GANImages:
    """A GAN's scenes, each from a camera of its own out of the distribution of its training.

    name: of its checkpoint; truncation: of the latents, 1 for none; framing: of the photographs it
    was trained on.
    """

    name: str
    model: WildGAN
    truncation: float = 1.0
    framing: Framing = Framing()

    @property
    def classes(self) -> int:
        """How many classes it draws images of, 0 if it knows none."""
        return self.model.classes

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self.model.resolution

    @property
    def cameras(self) -> str:
        """From where scenes are seen."""
        views = self.model.views
        spread = "uniform in area" if self.model.view_prior is None else "as learned of each class"
        return (
            f"yaw {views.yaw_degrees}, pitch {views.pitch_degrees} degrees, {spread}, turned by "
            f"{views.perturbation_degrees}, radius {views.radius}, field of view "
            f"{views.fov_degrees} degrees"
        )

    @torch.no_grad()
    def draw(self, labels: Sequence[int], seeds: Sequence[int]) -> DrawnImages:
        """B images of labels and seeds; equal seeds draw equal scenes from equal cameras."""
        device = self.model.field.out.weight.device
        known = torch.tensor(list(labels), device=device).clamp_min(0)
        scenes = self.model.scenes(self.model.mapped(known, seeds, self.truncation))
        camera = self.model.views.cameras(self._directions(known, seeds))
        view = scenes.view(camera, self.resolution, self.resolution)
        return DrawnImages(view.rgb, scene_geometry(scenes, camera, view))

    def _directions(self, labels: Tensor, seeds: Sequence[int]) -> Tensor:
        """Directions (B, 3), a seed's the same in every batch."""
        generators = [torch.Generator(labels.device).manual_seed(CAMERA_SEED + s) for s in seeds]
        drawn = [
            self.model.directions(label[None], 1, rng)[:, 0]
            for label, rng in zip(labels, generators, strict=True)
        ]
        return torch.cat(drawn)
