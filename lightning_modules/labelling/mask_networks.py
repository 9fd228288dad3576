"""Networks that part an image into objects, what may hide them, and what is behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from datamodules.build.encode import encode_mask
from datamodules.errors import DataError
from datamodules.manifest import Parameter
from datamodules.modalities import MASK_OBJECT, MASK_UNKNOWN
from lightning_modules.inference.sampling_options import check_unused
from lightning_modules.inference.transformers_models import TRANSFORMERS
from lightning_modules.labelling.class_map import (
    ClassMap,
    Segments,
    read_class_map,
    segment_codes,
)
from lightning_modules.labelling.onnx_segmenter import SALIENT, OnnxSegmenter, read_onnx_settings
from lightning_modules.labelling.torchvision_segmenter import TORCHVISION, TorchvisionSegmenter
from lightning_modules.labelling.transformers_segmenter import Task, TransformersSegmenter


class Segmenter(Protocol):
    """A network that parts images of one size.

    name: for people; weights: SHA-256 in hex; revision: of its repository, if known; classes: their
    names by number; parts_objects: whether it tells objects of one class apart.
    """

    @property
    def name(self) -> str:
        """For people."""

    @property
    def weights(self) -> str:
        """SHA-256 in hex."""

    @property
    def revision(self) -> str | None:
        """Of its repository, if known."""

    @property
    def classes(self) -> Mapping[int, str]:
        """Names of the classes by number."""

    @property
    def parts_objects(self) -> bool:
        """Whether it tells objects of one class apart."""

    def __call__(self, pixels: Tensor) -> Sequence[Segments]:
        """The parts of each of the images (B, 3, H, W) uint8."""


@dataclass(frozen=True)
class MaskNetwork:
    """A segmenter with the roles of its classes.

    codes: mask code (K,) of each class.
    """

    segmenter: Segmenter
    class_map: ClassMap
    codes: np.ndarray

    @staticmethod
    def of(segmenter: Segmenter, class_map: ClassMap) -> MaskNetwork:
        """A segmenter with a class map; DataError if the two do not fit."""
        if class_map.one_object and not segmenter.parts_objects:
            raise DataError(
                f"{segmenter.name} does not tell objects of one class apart: leave one_object out."
            )
        codes = class_map.codes(segmenter.classes, segmenter.name)
        return MaskNetwork(segmenter, class_map, codes)

    def made(self) -> dict[str, Parameter]:
        """All that the labels depend on, for the manifest."""
        return {
            "network": self.segmenter.name,
            "weights": self.segmenter.weights,
            "revision": self.segmenter.revision,
            "classes": self.class_map.text(),
        }

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> np.ndarray:
        """Mask codes (B, H, W) uint8 of images (B, 3, H, W) uint8."""
        one = self.class_map.one_object
        found = self.segmenter(pixels)
        return np.stack([segment_codes(segments, self.codes, one) for segments in found])

    def encoded(self, found: np.ndarray) -> bytes:
        """The label of codes (H, W); ValueError if none is the object, of which nothing can be
        learned then."""
        if not (found == MASK_OBJECT).any():
            raise ValueError("it shows no object")
        return encode_mask(found)

    @staticmethod
    def unknown(height: int, width: int) -> bytes:
        """The label of an image it knows nothing of."""
        return encode_mask(np.full((height, width), MASK_UNKNOWN, np.uint8))


def open_segmenter(
    network: str, task: Task, weights: str | None, threshold: float, device: str
) -> Segmenter:
    """A segmenter on a device.

    Args:
        network: transformers:NAME or transformers:FOLDER, torchvision:NAME, or the YAML file of an
            ONNX network.
        task: of a model of transformers.
        weights: of a model of torchvision.
        threshold: least score of a part, of models that tell objects apart.

    Raises:
        DataError: there is none of that name, or it is of another kind.
    """
    if network.startswith(TORCHVISION):
        name = network.removeprefix(TORCHVISION)
        return TorchvisionSegmenter.open(name, weights, threshold, device)
    check_unused({"weights": weights}, "only networks of torchvision take weights from a file")
    if network.startswith(TRANSFORMERS):
        name = network.removeprefix(TRANSFORMERS)
        return TransformersSegmenter.open(name, task, threshold, device)
    if not network.endswith((".yaml", ".yml")):
        raise DataError(
            f"--network is {network}: name transformers:NAME, torchvision:NAME, or the YAML file "
            "of an ONNX network."
        )
    return OnnxSegmenter.open(read_onnx_settings(network), device)


def class_map_for(network: str, classes: str | None) -> ClassMap:
    """The class map in a YAML file; of ONNX networks it may be left out."""
    if classes is not None:
        return read_class_map(classes)
    if network.startswith((TRANSFORMERS, TORCHVISION)):
        raise DataError(
            f"{network} has classes, which may be objects, occluders or background: name a YAML "
            "file that says so in --classes, e.g. configs/labels/coco_things.yaml."
        )
    return SALIENT
