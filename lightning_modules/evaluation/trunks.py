"""Networks without their heads, out of torchvision and our classifiers."""

from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models import get_model_weights

from datamodules.errors import DataError
from lightning_modules.evaluation.classifier_network import load_classifier
from lightning_modules.inference.torchvision_models import open_torchvision, torchvision_names
from lightning_modules.losses.perceptual import cached_weights
from models.classifier import SmallClassifier


@dataclass(frozen=True)
class NetworkOptions:
    """Options that name a network and the file of its weights, as errors call them.

    side: of the images in pixels; None where that can't be chosen.
    """

    network: str = "--network"
    weights: str = "--weights"
    side: str | None = "--side"


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


def torchvision_trunk(
    name: str, weights: str | None, options: NetworkOptions = NetworkOptions()
) -> Trunk:
    """A classifier of torchvision without the layer that gives its logits.

    Args:
        name: e.g. resnet50.
        weights: its state dict; by default the file in torch's cache is taken.

    Raises:
        FileNotFoundError, DataError: there is no such model, or no weights, or of another model.
    """
    if name not in torchvision_names():
        raise DataError(
            f"torchvision has no model {name!r}: name one in {options.network}, e.g. "
            "torchvision:resnet50."
        )
    published = get_model_weights(name).DEFAULT
    cached = cached_weights(published.url.rpartition("/")[2])
    if weights is None and not cached.is_file():
        raise FileNotFoundError(
            f"torchvision:{name} needs weights and {cached} does not exist: download "
            f"{published.url} and put it there, or name its place in {options.weights}."
        )
    network = open_torchvision(name, weights or cached, options.weights)
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
