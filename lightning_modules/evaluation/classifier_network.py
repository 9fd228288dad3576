"""A classifier trained by `make classifier` as a feature network of torch-fidelity."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from datamodules.errors import DataError
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.inference.loading import load_model, weights_hash
from models.classifier import SmallClassifier

LAYERS = ("features", "logits")


@dataclass(frozen=True)
class LoadedClassifier:
    """The averaged classifier of a checkpoint.

    data_name: of the data set it was trained on; weights: SHA-256 in hex.
    """

    model: SmallClassifier
    data_name: str
    weights: str

    @property
    def name(self) -> str:
        """E.g. classifier-shapeworld-1a2b3c4d: other weights, another name."""
        return f"classifier-{self.data_name}-{self.weights[:8]}"


def load_classifier(path: str) -> LoadedClassifier:
    """The classifier in a checkpoint, on the CPU, ready to use.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it holds another model.
    """
    model, opened = load_model(path, "checkpoint of a classifier", SmallClassifier)
    return LoadedClassifier(model, opened.part("data_name", str), weights_hash(model))


def open_classifier(path: str) -> FeatureNetwork:
    """A classifier on the CPU, registered with torch-fidelity under its name; see
    `load_classifier`."""
    loaded = load_classifier(path)
    if loaded.name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(loaded.name, ClassifierExtractor)
    extractor = create_feature_extractor(
        loaded.name,
        list(LAYERS),
        cuda=False,
        feature_extractor_weights_path=path,
        verbose=False,
    )
    resize = f"to {loaded.model.resolution} px, bilinear with antialiasing"
    return FeatureNetwork(loaded.name, loaded.weights, resize, extractor)


class ClassifierExtractor(FeatureExtractorBase):
    """A classifier as torch-fidelity builds it of its registered name and its checkpoint, for
    `calculate_metrics` too.

    Args:
        name: registered, that of the classifier.
        features_list: layers to return, of `LAYERS`.
        feature_extractor_weights_path: checkpoint.

    Raises:
        DataError: the checkpoint holds a classifier of another name.
    """

    def __init__(
        self,
        name: str,
        features_list: list[str],
        feature_extractor_weights_path: str,
        **_: object,  # torch-fidelity hands over all its settings
    ) -> None:
        super().__init__(name, features_list)
        loaded = load_classifier(feature_extractor_weights_path)
        if loaded.name != name:
            raise DataError(
                f"{feature_extractor_weights_path} holds {loaded.name}, wanted was {name}: name "
                "the checkpoint it was registered with."
            )
        self.classifier = loaded.model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The layers wanted of images (B, 3, H, W) uint8."""
        vectors = self.classifier.features(images.to(torch.float32) / 255)
        layers = {"features": vectors, "logits": self.classifier.head(vectors)}
        return tuple(layers[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Names of the layers."""
        return LAYERS

    @staticmethod
    def get_default_feature_layer_for_metric(metric: Literal["isc", "fid", "kid", "prc"]) -> str:
        """The layer that a metric of torch-fidelity looks at."""
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        """False: torch-fidelity may not trace it, since images come in several sizes."""
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        """An image."""
        return torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
