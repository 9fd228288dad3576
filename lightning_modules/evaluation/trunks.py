"""Networks without their heads, out of torchvision, transformers and our classifiers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model_weights

from datamodules.errors import DataError, first_line
from lightning_modules.evaluation.classifier_network import load_classifier
from lightning_modules.inference.torchvision_models import open_torchvision, torchvision_names
from lightning_modules.losses.perceptual import cached_weights
from models.classifier import SmallClassifier


@dataclass(frozen=True)
class Trunk:
    """A network on the CPU that gives features, and the images it was trained with.

    name: for people; network: normalised images (B, 3, H, W) to features (B, F); side: of its
    images in pixels; mean, std: of their channels, which normalise images in [0, 1].
    """

    name: str
    network: nn.Module
    side: int
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


def torchvision_trunk(name: str, weights: str | None) -> Trunk:
    """A classifier of torchvision without the layer that gives its logits.

    Args:
        name: e.g. resnet50.
        weights: its state dict; by default the file in torch's cache is taken.

    Raises:
        FileNotFoundError, DataError: there is no such model, or no weights, or of another model.
    """
    if name not in torchvision_names():
        raise DataError(f"torchvision has no model {name!r}: name one, e.g. resnet50.")
    published = get_model_weights(name).DEFAULT
    cached = cached_weights(published.url.rpartition("/")[2])
    if weights is None and not cached.is_file():
        raise FileNotFoundError(
            f"torchvision:{name} needs weights and {cached} does not exist: download "
            f"{published.url} and put it there, or name its place in --weights."
        )
    network = open_torchvision(name, weights or cached, "--weights")
    # What torchvision's classifiers register last is the layer of their logits.
    layers = [key for key, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    network.set_submodule(layers[-1], nn.Identity())
    view = published.transforms()
    return Trunk(
        f"torchvision:{name}", network, view.crop_size[0], tuple(view.mean), tuple(view.std)
    )


def classifier_trunk(path: str) -> Trunk:
    """A classifier of ours; see `load_classifier`, of which it raises the errors."""
    loaded = load_classifier(path)
    return Trunk(loaded.name, ClassifierFeatures(loaded.model), loaded.model.resolution)


class ClassifierFeatures(nn.Module):
    """The penultimate features of a classifier."""

    def __init__(self, classifier: SmallClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, 3, H, W) in [0, 1]."""
        return self.classifier.features(images)


def transformers_trunk(name: str) -> Trunk:
    """An image model of the transformers package, of which the vision part is taken.

    Args:
        name: a folder, or a model in its cache, e.g. facebook/dinov2-small.

    Raises:
        DataError: the package is not installed, nothing of that name is there, or its weights are
            not complete.
    """
    try:
        from transformers import AutoImageProcessor, AutoModel
    except ImportError as error:
        raise DataError(
            "Networks of transformers need the package, which is not installed: "
            "pip install 'wild3d[semantics]'."
        ) from error
    try:
        model, found = AutoModel.from_pretrained(
            name, local_files_only=True, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(name, local_files_only=True)
    except Exception as error:  # whatever the package makes of files and names
        raise DataError(
            f"transformers can't open {name} ({first_line(error)}): name the folder of an image "
            "model, or one that is in its cache, in --network; nothing is downloaded."
        ) from error
    side = _processed_side(processor)
    plain = processor.do_normalize is False
    mean, std = ((0.0,) * 3, (1.0,) * 3) if plain else (processor.image_mean, processor.image_std)
    called = f"transformers:{Path(name).name if Path(name).is_dir() else name}"
    pooled = _is_pooled(name, found["missing_keys"])
    network = TokenFeatures(getattr(model, "vision_model", model), pooled)
    network = network.float().eval().requires_grad_(False)
    return Trunk(called, network, side, tuple(mean), tuple(std))


def _is_pooled(name: str, missing: Iterable[str]) -> bool:
    """Whether the weights hold those of a pooling layer, which the package leaves at random where
    they don't; DataError if they lack others."""
    others = sorted(key for key in missing if "pooler" not in key)
    if others:
        raise DataError(
            f"The weights of {name} lack {len(others)} of its model's, first {others[0]}: name "
            "another model in --network."
        )
    return not list(missing)


def _processed_side(processor: Any) -> int:
    """Side of the square that a processor makes of images."""
    for sizes in (getattr(processor, "crop_size", None), getattr(processor, "size", None)):
        for key in ("height", "shortest_edge"):
            if sizes and dict(sizes).get(key):
                return int(dict(sizes)[key])
    return 224


class TokenFeatures(nn.Module):
    """The pooled output of an image model of transformers, or the mean of its tokens.

    Args:
        pooled: its weights hold those of its pooling, if it has one.
    """

    def __init__(self, model: nn.Module, pooled: bool) -> None:
        super().__init__()
        self.model, self.pooled = model, pooled

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of normalised images (B, 3, H, W)."""
        output = self.model(pixel_values=images)
        vector = getattr(output, "pooler_output", None)
        if self.pooled and vector is not None:
            return vector.flatten(1)
        tokens = output.last_hidden_state  # (B, T, F), or (B, F, h, w) of a convolutional model
        return tokens.mean(1) if tokens.ndim == 3 else tokens.mean((2, 3))
