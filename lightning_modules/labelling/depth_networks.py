"""Networks that see depth in one photograph, given by name or path."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from datamodules.build.disparity import stretched_disparity, to_disparity
from datamodules.build.encode import encode_depth
from datamodules.errors import DataError
from datamodules.manifest import Parameter
from lightning_modules.inference.computing import Precision
from lightning_modules.inference.loading import load_model, weights_hash
from lightning_modules.inference.sampling_options import check_unused
from lightning_modules.inference.transformers_models import (
    TRANSFORMERS,
    check_complete,
    open_pretrained,
)
from models.depth_network import SmallDepthNetwork

Gives = Literal["disparity", "depth"]

_TYPES: Mapping[str, Gives] = {
    "dpt": "disparity",
    "zoedepth": "depth",
    "glpn": "depth",
    "depth_pro": "depth",
}
"""What models of transformers give whose configuration does not say it."""


class DepthPredictor(Protocol):
    """A network as it is asked: pixels (B, 3, H, W) uint8 to a map (B, H, W) of finite or other
    numbers, disparity or depth."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Look at images of any size, which are on the CPU."""


@dataclass(frozen=True)
class DepthNetwork:
    """A frozen network that gives depth, on a device.

    name: for people; weights: SHA-256 in hex; revision: of its repository, if known; gives: depth,
    in any unit of length, or disparity, true up to a factor and an offset; flip: average with what
    it sees in the mirrored image.
    """

    name: str
    weights: str
    gives: Gives
    predictor: DepthPredictor
    device: str
    precision: Precision
    flip: bool
    revision: str | None = None

    @property
    def label(self) -> str:
        """Name with digits of the hash of its weights, e.g. depth-room-1a2b3c4d."""
        name = self.name.replace(":", "-").rsplit("/", 1)[-1]
        return name if name.endswith(self.weights[:8]) else f"{name}-{self.weights[:8]}"

    def made(self) -> dict[str, Parameter]:
        """All that the labels depend on, for the manifest."""
        return {
            "network": self.name,
            "weights": self.weights,
            "revision": self.revision,
            "gives": self.gives,
            "precision": self.precision,
            "flip": self.flip,
        }

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> np.ndarray:
        """Depth or disparity (B, H, W) float32 of images (B, 3, H, W) uint8."""
        found = self._seen(pixels)
        if self.flip:
            found = (found + self._seen(pixels.flip(-1)).flip(-1)) / 2
        return found.cpu().numpy()

    def encoded(self, found: np.ndarray) -> bytes:
        """What it gives of one image (H, W) as it is stored; ValueError if that says nothing."""
        if self.gives == "disparity":
            return encode_depth(stretched_disparity(found))
        disparity = to_disparity(found)
        if not disparity.any():
            raise ValueError("its depth is nowhere finite and above 0")
        return encode_depth(disparity)

    @staticmethod
    def unknown(height: int, width: int) -> bytes:
        """The label of an image it knows nothing of."""
        return encode_depth(np.zeros((height, width), np.uint16))

    def _seen(self, pixels: Tensor) -> Tensor:
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.predictor(pixels).float()


def open_depth_network(
    network: str, device: str, precision: Precision, flip: bool, gives: Gives | None = None
) -> DepthNetwork:
    """A network on a device.

    Args:
        network: transformers:NAME or transformers:FOLDER of a model for depth estimation, or the
            checkpoint of one of ours.
        gives: what it gives, where its configuration does not say it.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        DataError: there is none, or it is of another kind, or what it gives must be said.
    """
    if network.startswith(TRANSFORMERS):
        name = network.removeprefix(TRANSFORMERS)
        opened = open_pretrained(name, "AutoModelForDepthEstimation", "depth model", "labels")
        check_complete(opened)
        gives = gives or given_by(opened.name, opened.model.config)
        weights = weights_hash(opened.model)
        of_package = TransformersDepth(opened.model.to(device), opened.processor, device)
        return DepthNetwork(
            opened.name, weights, gives, of_package, device, precision, flip, opened.revision
        )
    check_unused({"gives": gives}, "networks of ours give disparity")
    model, checkpoint = load_model(network, "checkpoint of a depth network", SmallDepthNetwork)
    weights = weights_hash(model)
    name = f"depth-{checkpoint.part('data_name', str)}-{weights[:8]}"
    of_ours = OwnDepth(model.to(device), device)
    return DepthNetwork(name, weights, "disparity", of_ours, device, precision, flip)


def given_by(name: str, config: Any) -> Gives:
    """What a model of transformers gives by its configuration; DataError if that does not say."""
    stated = getattr(config, "depth_estimation_type", None)
    if stated is not None:
        return "depth" if stated == "metric" else "disparity"
    backbone = getattr(getattr(config, "backbone_config", None), "model_type", "")
    # DPT over DINOv2 gives metres where it was trained on rooms and roads.
    if config.model_type not in _TYPES or str(backbone).startswith("dinov2"):
        raise DataError(
            f"{name} does not say whether it gives depth or disparity: say it in --gives."
        )
    return _TYPES[config.model_type]


@dataclass(frozen=True)
class TransformersDepth:
    """A depth model of transformers: its own processor brings images to its size and what it gives
    back to theirs."""

    model: Any
    processor: Any
    device: str

    def __call__(self, pixels: Tensor) -> Tensor:
        """What the model gives (B, H, W) of images (B, 3, H, W) uint8."""
        count, _, height, width = pixels.shape
        inputs = self.processor(images=list(pixels), return_tensors="pt")
        outputs = self.model(**inputs.to(self.device))
        sizes: dict[str, Any] = {"target_sizes": [(height, width)] * count}
        restore = self.processor.post_process_depth_estimation
        if "source_sizes" in inspect.signature(restore).parameters:
            sizes["source_sizes"] = sizes["target_sizes"]
        return torch.stack([found["predicted_depth"] for found in restore(outputs, **sizes)])


@dataclass(frozen=True)
class OwnDepth:
    """A network of `configs/labels/depth_small.yaml`."""

    model: SmallDepthNetwork
    device: str

    def __call__(self, pixels: Tensor) -> Tensor:
        """Disparity (B, H, W) of images (B, 3, H, W) uint8."""
        found: Tensor = self.model(pixels.to(self.device).float() / 255)
        return found
