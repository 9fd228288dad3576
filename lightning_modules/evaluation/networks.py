"""Feature networks that a user names: torch-fidelity's InceptionV3, from a local file, or a trained
classifier."""

from pathlib import Path

from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.utils import create_feature_extractor

from datamodules.errors import DataError, first_line
from lightning_modules.evaluation.classifier_network import open_classifier
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.inference.loading import weights_hash
from lightning_modules.inference.sampling_options import check_unused
from lightning_modules.losses.perceptual import cached_weights
from models.weights_file import read_weights

WITH_INCEPTION = "inception"
"""Stands for the network of published metrics."""

INCEPTION = "inception-v3-compat"
"""Its name in torch-fidelity: the weights and the resizing of TensorFlow's original FID."""

INCEPTION_FILE = URL_INCEPTION_V3.rpartition("/")[2]
LAYERS = ["2048", "logits_unbiased"]


def open_network(features: str, inception_weights: str | None = None) -> FeatureNetwork:
    """The network on the CPU.

    Args:
        features: `inception`, or the path of a classifier's checkpoint.
        inception_weights: where Inception's weights are; None looks in torch-fidelity's cache.

    Raises:
        FileNotFoundError, DataError: a file is missing or holds something else, or Inception's
            weights are named for a classifier.
    """
    if features == WITH_INCEPTION:
        return open_inception(inception_weights)
    check_unused({"inception_weights": inception_weights}, "--features names a classifier")
    return open_classifier(features)


def find_inception_weights(path: str | None) -> Path:
    """The file of InceptionV3's weights: the given path, else torch-fidelity's cache.

    Raises:
        DataError: naming the file, where it comes from and where to put it; nothing is downloaded.
    """
    cached = cached_weights(INCEPTION_FILE)
    chosen = Path(path) if path else cached
    if chosen.is_file():
        return chosen
    raise DataError(
        f"Inception's features need torch-fidelity's weights and {chosen} does not exist: download "
        f"{URL_INCEPTION_V3} and put it at {cached}, or name its place in --inception_weights, or "
        "give the checkpoint of a classifier (`make classifier`) in --features; in training these "
        "are `score.inception_weights` and `score.features`."
    )


def open_inception(path: str | None) -> FeatureNetwork:
    """InceptionV3 on the CPU; see `find_inception_weights`.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    weights = find_inception_weights(path)
    try:
        read_weights(weights)  # torch-fidelity would unpickle whatever the file holds
        extractor = create_feature_extractor(
            INCEPTION,
            LAYERS,
            cuda=False,
            feature_extractor_weights_path=str(weights),
            verbose=False,
        )
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{weights} does not hold torch-fidelity's InceptionV3 weights ({first_line(error)}): "
            f"name {INCEPTION_FILE} in --inception_weights (`score.inception_weights` in training)."
        ) from error
    size = extractor.INPUT_IMAGE_SIZE
    resize = f"to {size} px, bilinear without antialiasing, as TensorFlow 1 did"
    return FeatureNetwork(INCEPTION, weights_hash(extractor), resize, extractor)
