"""Segmentation models of transformers: semantic, panoptic or instance."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.loading import weights_hash
from lightning_modules.inference.transformers_models import check_complete, open_pretrained
from lightning_modules.labelling.class_map import Role, Segments

Task = Literal["semantic", "panoptic", "instance"]

_CLASSES: Mapping[Task, tuple[str, ...]] = {
    "semantic": ("AutoModelForSemanticSegmentation", "AutoModelForUniversalSegmentation"),
    "panoptic": ("AutoModelForUniversalSegmentation",),
    "instance": ("AutoModelForUniversalSegmentation", "AutoModelForInstanceSegmentation"),
}
"""Classes of the package that can do a task, the first that takes a model is it."""

_GAP: Mapping[Task, Role] = {
    "semantic": "unknown",
    "panoptic": "unknown",
    "instance": "background",  # these models look for nothing but objects
}


@dataclass(frozen=True)
class TransformersSegmenter:
    """A segmentation model on a device; see `Segmenter`. Its own processor brings images to its
    size and what it gives back to theirs.

    threshold: least score of a part, of panoptic and instance models.
    """

    name: str
    model: Any
    processor: Any
    task: Task
    threshold: float
    device: str
    revision: str | None = None
    weights: str = field(default="")

    @staticmethod
    def open(name: str, task: Task, threshold: float, device: str) -> TransformersSegmenter:
        """One by name or folder; DataError if there is none that can do the task."""
        faults = []
        for auto_class in _CLASSES[task]:
            try:
                opened = open_pretrained(name, auto_class, f"{task} segmentation model", "labels")
            except DataError as error:
                faults.append(error)
                continue
            check_complete(opened)
            config: Any = opened.model.config
            if config.model_type == "oneformer":
                raise DataError(f"{opened.name} must be told its task in words: name another.")
            scores = "" if task == "semantic" else f", scores from {threshold:g}"
            called, weights = f"{opened.name}, {task}{scores}", weights_hash(opened.model)
            model = opened.model.to(device)
            return TransformersSegmenter(
                called, model, opened.processor, task, threshold, device, opened.revision, weights
            )
        raise faults[0]

    @property
    def classes(self) -> Mapping[int, str]:
        """Names of the classes by number."""
        return {int(number): name for number, name in self.model.config.id2label.items()}

    @property
    def parts_objects(self) -> bool:
        """Whether it tells objects of one class apart."""
        return self.task != "semantic"

    def __call__(self, pixels: Tensor) -> Sequence[Segments]:
        """The parts of each of the images (B, 3, H, W) uint8."""
        sizes = [tuple(pixels.shape[2:])] * len(pixels)
        inputs = self.processor(images=list(pixels), return_tensors="pt")
        outputs = self.model(**inputs.to(self.device))
        restore = getattr(self.processor, f"post_process_{self.task}_segmentation")
        if self.task == "semantic":
            return [self._of_classes(found) for found in restore(outputs, target_sizes=sizes)]
        options: dict[str, Any] = {"threshold": self.threshold, "target_sizes": sizes}
        if "label_ids_to_fuse" in inspect.signature(restore).parameters:
            options["label_ids_to_fuse"] = set()  # or it warns that it fuses none
        return [self._of_parts(found) for found in restore(outputs, **options)]

    def _of_classes(self, classes: Tensor) -> Segments:
        return Segments(classes.cpu().numpy(), np.arange(max(self.classes) + 1), _GAP[self.task])

    def _of_parts(self, found: Mapping[str, Any]) -> Segments:
        """Parts out of a map of their numbers and what they are; numbers of none are gaps."""
        parts: Tensor = found["segmentation"].cpu().long()
        described = found["segments_info"]
        place = torch.full((int(max([parts.max(), *(d["id"] for d in described)])) + 2,), -1)
        for number, part in enumerate(described):
            place[part["id"]] = number
        classes = np.array([part["label_id"] for part in described], np.int64)
        return Segments(place[parts].numpy(), classes, _GAP[self.task])
