"""The feature network a user names: Inception, or a trained classifier."""

from lightning_modules.evaluation.classifier_network import open_classifier
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.inception import open_inception
from lightning_modules.inference.sampling_options import check_unused

WITH_INCEPTION = "inception"


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
