"""A network whose features measure images, and features of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datamodules.errors import DataError
from lightning_modules.inference.computing import whole_float32


@dataclass(frozen=True)
class Features:
    """Of N images, float32.

    vectors: penultimate activations (N, F), for FID and KID; logits: (N, C), for the Inception
    Score, of width 0 where the network has none.
    """

    vectors: Tensor
    logits: Tensor

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.vectors)

    def cpu(self) -> "Features":
        """The same on the CPU."""
        return Features(self.vectors.cpu(), self.logits.cpu())

    @staticmethod
    def none(images: int) -> "Features":
        """Those of no network."""
        return Features(torch.zeros(images, 0), torch.zeros(images, 0))

    @staticmethod
    def cat(parts: Sequence["Features"]) -> "Features":
        """Those of several batches, one after the other."""
        return Features(
            torch.cat([part.vectors for part in parts]), torch.cat([part.logits for part in parts])
        )


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen network that gives features. No `nn.Module`, so that what holds one neither saves
    nor averages nor distributes its weights.

    name: of network and weights, fit for a file's, e.g. classifier-shapeworld-1a2b3c4d; weights:
    SHA-256 in hex; resize: how it brings images to its own size, in words; extractor: images
    (B, 3, H, W) uint8 to vectors (B, F) and logits (B, C); has_logits: C is not 0.
    """

    name: str
    weights: str
    resize: str
    extractor: nn.Module
    has_logits: bool = True

    def to(self, device: torch.device | str) -> "FeatureNetwork":
        """Move it to a device."""
        self.extractor.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.extractor.parameters()).device

    def check_classes(self, classes: int) -> None:
        """DataError unless its logits are of so many classes."""
        image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8, device=self.device)
        found = self(image).logits.shape[1]
        if found != classes:
            raise DataError(
                f"{self.name} tells {found} classes, the data have {classes}: name a classifier of "
                "the data in --features, or leave conditions out of --metrics."
            )

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Features:
        """Features of images (B, 3, H, W), uint8, or floats in [0, 1], which are rounded to it.

        Computed in whole float32 whatever autocast is active, so that fakes drawn in training and
        real images measured before it are comparable.
        """
        with whole_float32(images.device):
            vectors, logits = self.extractor(to_bytes(images))
        return Features(vectors.float(), logits.float())


def to_bytes(images: Tensor) -> Tensor:
    """Images as uint8: those that are stay, floats in [0, 1] are rounded."""
    if images.dtype == torch.uint8:
        return images
    return (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
