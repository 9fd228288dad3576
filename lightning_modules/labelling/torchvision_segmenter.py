"""Segmentation models of torchvision, semantic (DeepLab, FCN, LR-ASPP) or instance (Mask R-CNN)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import detection, get_model, get_model_weights, list_models, segmentation
from torchvision.transforms.functional import normalize, resize

from datamodules.errors import DataError, first_line
from lightning_modules.inference.loading import weights_hash
from lightning_modules.labelling.class_map import Segments
from lightning_modules.losses.perceptual import cached_weights
from models.weights_file import read_weights

TORCHVISION = "torchvision:"
"""Before the name of such a model."""
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Of the channels of what semantic models see."""
MASK_SHARE = 0.5
"""Probability from which a pixel belongs to an instance."""


def segmenter_names() -> list[str]:
    """Names of torchvision's models that segment, e.g. deeplabv3_resnet50."""
    instance = [name for name in list_models(module=detection) if name.startswith("maskrcnn")]
    return [*list_models(module=segmentation), *instance]


@dataclass(frozen=True)
class TorchvisionSegmenter:
    """A segmentation model on a device; see `Segmenter`.

    side: pixels along the shorter side of what a semantic model sees; None: it is an instance
    model, which resizes images itself. threshold: least score of an instance.
    """

    name: str
    weights: str
    classes: Mapping[int, str]
    model: Any
    side: int | None
    threshold: float
    device: str
    revision: None = None

    @staticmethod
    def open(name: str, weights: str | None, threshold: float, device: str) -> TorchvisionSegmenter:
        """One by its name.

        Args:
            weights: its state dict; by default the file in torch's cache is taken.

        Raises:
            DataError: there is no such model, or no weights, or of another.
        """
        if name not in segmenter_names():
            raise DataError(
                f"torchvision has no segmentation model {name!r}: name one of "
                f"{', '.join(segmenter_names())}."
            )
        published: Any = get_model_weights(name).DEFAULT
        path = weights or cached_weights(published.url.rpartition("/")[2])
        names = dict(enumerate(published.meta["categories"]))
        model = get_model(name, weights=None, weights_backbone=None, num_classes=len(names))
        try:
            stored = read_weights(path)
            # The heads that training alone needs.
            stored = {key: v for key, v in stored.items() if not key.startswith("aux_classifier")}
            model.load_state_dict(stored)
        except FileNotFoundError as error:
            raise DataError(
                f"{TORCHVISION}{name} needs weights and {path} does not exist: download "
                f"{published.url} and put it there, or name its place in --weights."
            ) from error
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{path} does not hold the weights of torchvision's {name} ({first_line(error)}): "
                "check --weights."
            ) from error
        model = model.eval().requires_grad_(False)
        side = None if name.startswith("maskrcnn") else published.transforms().resize_size[0]
        called = f"{TORCHVISION}{name}" + ("" if side else f", scores from {threshold:g}")
        return TorchvisionSegmenter(
            called, weights_hash(model), names, model.to(device), side, threshold, device
        )

    @property
    def parts_objects(self) -> bool:
        """Whether it tells objects of one class apart."""
        return self.side is None

    def __call__(self, pixels: Tensor) -> Sequence[Segments]:
        """The parts of each of the images (B, 3, H, W) uint8."""
        images = pixels.to(self.device).float() / 255
        if self.side is None:
            return [self._instances(found) for found in self.model(list(images))]
        seen = normalize(
            resize(images, [self.side], antialias=True),
            [0.485, 0.456, 0.406],
            [0.229, 0.224, 0.225],
        )
        scores = F.interpolate(self.model(seen)["out"], images.shape[2:], mode="bilinear")
        every = np.arange(len(self.classes))
        return [Segments(part, every) for part in scores.argmax(1).cpu().numpy()]

    def _instances(self, found: Mapping[str, Tensor]) -> Segments:
        """Instances above the threshold, the surest before the others."""
        masks = found["masks"][:, 0] >= MASK_SHARE  # (N, H, W), the surest first
        kept = found["scores"] >= self.threshold
        masks, labels = masks[kept], found["labels"][kept]
        part = torch.full(found["masks"].shape[2:], -1)
        for number in reversed(range(len(masks))):
            part[masks[number].cpu()] = number
        return Segments(part.numpy(), labels.cpu().numpy(), "background")
