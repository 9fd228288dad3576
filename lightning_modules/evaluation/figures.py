"""The figures of a generator, each under the name of the network that measured it."""

from lightning_modules.evaluation.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
)
from lightning_modules.evaluation.fake_measures import FakeMeasures
from lightning_modules.evaluation.features import Features
from lightning_modules.evaluation.settings import MetricSettings


def figures_of(
    network: str, real: Features, fake: FakeMeasures, settings: MetricSettings
) -> dict[str, float]:
    """Figures by label, e.g. kid/classifier-shapeworld-1a2b3c4d, in the order they were asked for.

    Raises:
        DataError: there are too few images, see `distances`.
    """
    figures: dict[str, float] = {}
    seed = settings.metric_seed
    for metric in settings.metrics:
        if metric == "fid":
            figures[f"fid/{network}"] = frechet_distance(real.vectors, fake.features.vectors)
        elif metric == "kid":
            size = settings.subset_size(len(real), len(fake.features))
            pair = real.vectors, fake.features.vectors
            distance = kernel_distance(*pair, settings.kid_subsets, size, seed)
            figures[f"kid/{network}"] = distance.mean
            figures[f"kid_std/{network}"] = distance.std
        elif metric == "is":
            score = inception_score(fake.features.logits, settings.is_splits, seed)
            figures[f"is/{network}"], figures[f"is_std/{network}"] = score.mean, score.std
        elif fake.flatness is not None:
            figures[f"nfs/{fake.flatness.quantity}"] = fake.flatness.mean
    return figures
