"""A photograph that a GAN was fitted to."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.autoencoder import CanonicalView
from models.scenes import Scenes
from models.wildgan import WildGAN


@dataclass(frozen=True)
class InvertedPhoto:
    """A generator tuned to a photograph.

    mapped: (1, W), the latent it was tuned at; view: where the photograph is seen from.
    """

    model: WildGAN
    mapped: Tensor
    view: CanonicalView

    def to(self, device: torch.device | str) -> "InvertedPhoto":
        """Move generator and latent to a device."""
        return replace(self, model=self.model.to(device), mapped=self.mapped.to(device))

    @torch.no_grad()
    def scenes(self) -> Scenes:
        """Its scene (1), whose canonical camera is that of the photograph."""
        made = self.model.scenes(self.mapped)
        return replace(made, canonical=self.view.camera(self.mapped.device))
