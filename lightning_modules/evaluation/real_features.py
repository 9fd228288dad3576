"""Features of the real images of a data set, computed once and kept in a file."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files import load_arrays, replacing
from datamodules.remote import is_local
from lightning_modules.evaluation.feature_network import FeatureNetwork, Features
from lightning_modules.evaluation.real_images import RealImages

_log = logging.getLogger(__name__)
FOLDER = "features"
BATCH = 64


@dataclass(frozen=True)
class RealFeatures:
    """Features of N real images on the CPU, and their labels (N,) int64, -1 unlabelled."""

    features: Features
    labels: Tensor


def real_features(
    network: FeatureNetwork | None,
    images: RealImages,
    cache: str | None = None,
    num_workers: int = 0,
) -> RealFeatures:
    """Features of real images: those in the cache if they are of these very images and weights,
    else computed, on the network's device, and written there. Where nothing can be written, that is
    printed, and the features are computed the next time again.

    Args:
        network: without one there are the labels alone, and no cache.
        cache: folder; None stands for features/ in the root of the images.
        num_workers: processes that decode images; 0 decodes in this one.

    Raises:
        DataError: the cache is a file, or of a root that is no local folder and not named; or an
            image is unusable.
    """
    if network is None:
        return _compute(None, images, num_workers)
    check_cache(cache)
    path, key = _cache_file(network, images, cache), _key(network, images)
    found = _read(path, key, images.count, len(images.manifest.classes))
    if found is None:
        found = _compute(network, images, num_workers)
        _write(path, key, found)
    return found


def check_cache(cache: str | None) -> None:
    """DataError if the folder of features that is named is a file."""
    if cache is not None and Path(cache).exists() and not Path(cache).is_dir():
        raise DataError(
            f"{cache} is a file, features can't be written there: name another folder in --cache "
            "(in training, `score.cache`)."
        )


def _key(network: FeatureNetwork, images: RealImages) -> str:
    """All that the features depend on, as text."""
    return json.dumps(
        {
            "network": network.name,
            "weights": network.weights,
            "resize": network.resize,
            "images": images.images_hash,
            "masks": images.masks_hash,
            "split": images.split,
            "resolution": images.resolution,
            "count": images.count,
            "framing": images.framing,
        }
    )


def _cache_file(network: FeatureNetwork, images: RealImages, cache: str | None) -> Path:
    if cache is None and not is_local(images.root):
        raise DataError(
            f"Features can't be kept in {images.root}, which is no local folder: name one in "
            "--cache (in training, `score.cache`)."
        )
    folder = Path(images.root, FOLDER) if cache is None else Path(cache)
    part = "" if images.count == images.manifest.samples(images.split) else f"-{images.count}"
    share, background = images.framing
    part += "" if share == 1 else f"-crop{share:g}"
    part += "" if background is None else f"-on{background:g}"
    return folder / f"{network.name}-{images.resolution}px-{images.split}{part}.npz"


def _read(path: Path, key: str, count: int, classes: int) -> RealFeatures | None:
    """Features of `count` images in the cache under this key, None if there are none."""
    if not path.is_file():
        return None
    try:
        arrays = load_arrays(path, "--cache")
        if str(arrays.get("key")) != key:
            return None
        return _parse(arrays, count, classes)
    except (DataError, ValueError) as error:
        _log.warning("%s is computed anew: %s", path, error)
        return None


def _parse(arrays: dict[str, np.ndarray], count: int, classes: int) -> RealFeatures:
    """The features in a cache; ValueError with the reason if an array is missing or unusable."""
    tensors = {}
    for name, kind, dimensions in (("vectors", "f", 2), ("logits", "f", 2), ("labels", "i", 1)):
        array = arrays.get(name)
        if array is None:
            raise ValueError(f"it has no {name}")
        if array.dtype.kind != kind or array.ndim != dimensions or len(array) != count:
            raise ValueError(f"its {name} are {array.shape} {array.dtype} of {count} images")
        with np.errstate(over="ignore"):  # told below
            array = array.astype(np.float32 if kind == "f" else np.int64)
        if not np.isfinite(array).all():
            raise ValueError(f"its {name} are not all finite")
        tensors[name] = torch.from_numpy(array)
    if classes and not all(-1 <= label < classes for label in tensors["labels"].unique().tolist()):
        raise ValueError(f"its labels are not of {classes} classes")
    return RealFeatures(Features(tensors["vectors"], tensors["logits"]), tensors["labels"])


def _compute(network: FeatureNetwork | None, images: RealImages, num_workers: int) -> RealFeatures:
    parts, labels = [], []
    device = "cpu" if network is None else network.device
    with images.batches(BATCH, num_workers, device) as loader:
        for batch in track(loader, description="real images"):
            parts.append(_measured(network, batch.image))
            labels.append(batch.label.cpu())
    return RealFeatures(Features.cat(parts), torch.cat(labels))


def _measured(network: FeatureNetwork | None, images: Tensor) -> Features:
    if network is None:
        return Features.none(len(images))
    return network(images.to(network.device)).cpu()


def _write(path: Path, key: str, found: RealFeatures) -> None:
    arrays: dict[str, Any] = {
        "key": np.array(key),
        "vectors": found.features.vectors.numpy(),
        "logits": found.features.logits.numpy(),
        "labels": found.labels.numpy(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        print(
            f"The features of the real images can't be kept in {path} ({reason}) and are computed "
            "anew each time: name a folder in --cache (in training, `score.cache`)."
        )
