"""Target of an inversion: a photograph, from where it is seen, and how it is compared."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.inference.inversion.distance import ImageDistance
from lightning_modules.metrics.image import psnr
from models.autoencoder import CanonicalView
from models.scenes import Scenes, expand_camera, resized
from renderers.rays import camera_rays, rays_to_image


@dataclass(frozen=True)
class FitMetrics:
    """Nearness of a scene to a photograph: mean squared error of pixels in [0, 1], PSNR in dB, and
    the distance that was minimised."""

    mse: float
    psnr: float
    distance: float


@dataclass(frozen=True)
class InversionTarget:
    """A photograph to fit a generator to.

    photo: (1, 3, S, S) in [0, 1]; view: camera it is seen from; distance: of images.
    """

    photo: Tensor
    view: CanonicalView
    distance: ImageDistance

    def image(self, scenes: Scenes) -> Tensor:
        """The scenes (B) as the camera sees them, (B, 3, S, S) in about [0, 1], with gradients."""
        side = self.photo.shape[-1]
        raw = side if scenes.refiner is None else scenes.refiner.raw
        camera = expand_camera(self.view.camera(self.photo.device), len(scenes))
        shown = rays_to_image(scenes.render(camera_rays(camera, raw, raw)).rgb, raw, raw)
        if scenes.refiner is None:
            return shown
        return resized(scenes.refiner(shown), side, side)

    def loss(self, scenes: Scenes) -> Tensor:
        """Distance () of the photograph and a scene (1)."""
        return self.distance(self.image(scenes), self.photo)

    @torch.no_grad()
    def metrics(self, scenes: Scenes) -> FitMetrics:
        """Nearness of a scene (1)."""
        seen = self.image(scenes).clamp(0, 1)
        error = float((seen - self.photo).square().mean())
        distance = float(self.distance(seen, self.photo))
        return FitMetrics(error, float(psnr(seen, self.photo)), distance)
