"""The class of a GAN that a photograph shows, as a classifier sees it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from datamodules.errors import DataError
from lightning_modules.inference.loading import load_model
from lightning_modules.inference.torchvision_models import open_torchvision, torchvision_names
from models.classifier import SmallClassifier

IMAGENET_SIDE = 256
"""Side that photographs have before torchvision's preprocessing, in pixels."""

WNID = re.compile(r"n\d{8}")
"""A class of ImageNet by its WordNet id, e.g. n01440764."""


@dataclass(frozen=True)
class ClassGuess:
    """A classifier, and those of its outputs that stand for classes of a GAN.

    network: images (B, 3, side, side) in [0, 1] to logits; labels, outputs: of the classes that
    both know, the GAN's label and the classifier's output.
    """

    network: nn.Module
    side: int
    labels: Sequence[int]
    outputs: Sequence[int]

    @torch.no_grad()
    def label(self, photo: Tensor) -> int:
        """The most probable label of a photograph (1, 3, side, side), of those it knows."""
        logits = self.network(photo)[0]
        return self.labels[int(logits[list(self.outputs)].argmax())]


def open_guess(classifier: str, weights: str | None, names: Sequence[str]) -> ClassGuess:
    """A classifier of the classes `names` of a GAN: of ours, or torchvision's for ImageNet.

    Args:
        classifier: a checkpoint of `make classifier`, or a name in torchvision, e.g. resnet50.
        weights: file of the latter's ImageNet weights.

    Raises:
        FileNotFoundError, DataError: it is not there, or knows none of the classes.
    """
    if weights is not None:
        return _torchvision(classifier, weights, names)
    if not Path(classifier).exists() and classifier in torchvision_names():
        raise DataError(
            f"Nothing is downloaded: name a file of torchvision's {classifier} in "
            "--classifier_weights."
        )
    return _ours(classifier, names)


def _ours(path: str, names: Sequence[str]) -> ClassGuess:
    network, opened = load_model(path, "checkpoint of a classifier", SmallClassifier)
    classes = opened.part("classes", tuple[str, ...])
    return ClassGuess(network, network.resolution, *_shared(path, classes, names))


def _torchvision(name: str, weights: str, names: Sequence[str]) -> ClassGuess:
    network = open_torchvision(name, weights, "--classifier_weights")
    known = get_model_weights(name).DEFAULT
    categories = known.meta.get("categories", ())
    shared = _shared(name, _as_folders(categories, names), names)
    return ClassGuess(nn.Sequential(known.transforms(), network).eval(), IMAGENET_SIDE, *shared)


def _as_folders(categories: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """torchvision's categories; by their WordNet ids where all of them are the GAN's classes.

    The order of the categories is that of the sorted ids. Ids of a part of ImageNet could not be
    told apart: torchvision does not list them.
    """
    every = sorted(name for name in names if WNID.fullmatch(name))
    return every if len(every) == len(categories) else categories


def _shared(source: str, known: Sequence[str], names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Labels of the names that a classifier knows, and its outputs for them."""
    labels = [label for label, name in enumerate(names) if name in known]
    if not labels:
        raise DataError(
            f"{source} knows none of the GAN's classes by name: say what photographs show with "
            "--classes."
        )
    return labels, [list(known).index(names[label]) for label in labels]
