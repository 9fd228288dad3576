"""Feature networks that a user names: torch-fidelity's InceptionV3, image encoders of torchvision
and transformers, trained classifiers; from local files."""

from pathlib import Path

from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.utils import create_feature_extractor

from datamodules.errors import DataError, first_line
from lightning_modules.evaluation.classifier_network import open_classifier
from lightning_modules.evaluation.encoder_network import open_encoder_network
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.image_encoders import TORCHVISION
from lightning_modules.inference.loading import weights_hash
from lightning_modules.inference.sampling_options import check_unused
from lightning_modules.inference.transformers_models import TRANSFORMERS
from lightning_modules.losses.perceptual import cached_weights
from models.weights_file import read_weights

WITH_INCEPTION = "inception"
"""Stands for the network of published metrics."""

INCEPTION = "inception-v3-compat"
"""Its name in torch-fidelity: the weights and the resizing of TensorFlow's original FID."""

INCEPTION_FILE = URL_INCEPTION_V3.rpartition("/")[2]
LAYERS = ["2048", "logits_unbiased"]


def open_network(features: str, weights: str | None = None) -> FeatureNetwork:
    """The network on the CPU.

    Args:
        features: `inception`; `torchvision:NAME` of a classifier; `transformers:NAME` or
            `transformers:FOLDER` of an image model; or the path of a classifier's checkpoint.
        weights: file of those of Inception or of torchvision's network; None looks in torch's
            cache.

    Raises:
        FileNotFoundError, DataError: a file is missing or holds something else, or weights are
            named for a network that has its own.
    """
    if features == WITH_INCEPTION:
        return open_inception(weights)
    if features.startswith(TORCHVISION):
        return open_encoder_network(features, weights)
    check_unused(
        {"features_weights": weights},
        "only inception and networks of torchvision take weights from a file",
    )
    if features.startswith(TRANSFORMERS):
        return open_encoder_network(features)
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
        f"{URL_INCEPTION_V3} and put it at {cached}, or name its place in --features_weights, or "
        "give the checkpoint of a classifier (`make classifier`) in --features; in training these "
        "are `score.features_weights` and `score.features`."
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
            f"name {INCEPTION_FILE} in --features_weights (`score.features_weights` in training)."
        ) from error
    size, digest = extractor.INPUT_IMAGE_SIZE, weights_hash(extractor)
    resize = f"to {size} px, bilinear without antialiasing, as TensorFlow 1 did"
    return FeatureNetwork(f"{INCEPTION}-{digest[:8]}", digest, resize, extractor)
