"""A network whose features measure images, with the name that goes into every label."""

import hashlib
from dataclasses import dataclass

import safetensors.torch
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from lightning_modules.evaluation.features import Features


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen feature extractor of torch-fidelity. No `nn.Module`, so that what holds one neither
    saves nor averages nor distributes its weights.

    name: under which torch-fidelity knows it, e.g. classifier-shapeworld-1a2b3c4d; weights: SHA-256
    in hex; resize: how it brings images to its own size, in words; extractor: gives vectors and
    logits.
    """

    name: str
    weights: str
    resize: str
    extractor: FeatureExtractorBase

    def to(self, device: torch.device | str) -> "FeatureNetwork":
        """Move it to a device."""
        self.extractor.to(device)
        return self

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Features:
        """Features of images (B, 3, H, W), uint8, or floats in [0, 1], which are rounded to it.

        Computed in float32 whatever autocast is active, so that fakes drawn in training and real
        images measured before it are comparable.
        """
        with torch.autocast(images.device.type, enabled=False):
            vectors, logits = self.extractor(to_bytes(images))
        return Features(vectors.float(), logits.float())


def to_bytes(images: Tensor) -> Tensor:
    """Images as uint8: those that are stay, floats in [0, 1] are rounded."""
    if images.dtype == torch.uint8:
        return images
    return (images.float().clamp(0, 1) * 255).round().to(torch.uint8)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 in hex of a network's weights."""
    state = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    return hashlib.sha256(safetensors.torch.save(state)).hexdigest()
