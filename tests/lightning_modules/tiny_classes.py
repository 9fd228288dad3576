"""Shards of three classes that differ in colour, and classifiers of them."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_mask
from datamodules.build.writer import EncodedSample
from datamodules.modalities import MASK_OBJECT
from models.classifier import SmallClassifier

SIDE = 16
CLASSES = ("chair", "mug", "oak tree")
COUNTS = {"train": (12, 12), "val": (9,)}


def write_classes(root: Path, seed: int = 0, *, trees: bool = True) -> str:
    """24 training and 9 validation images in which the label's channel is bright; half the training
    images are chairs, a quarter each mugs and trees, if these are labelled. Masks call the upper
    half the object."""

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        for row in range(COUNTS[split][shard]):
            number = 100 * shard + row
            label = row % 3 if split == "val" else (0, 1, 0, 2)[row % 4]
            yield _sample(split, number, label, seed, label < 2 or trees)

    build_shards(root, COUNTS, samples, 1, list(CLASSES), SIDE, {"tool": "test"})
    return str(root)


def _sample(split: str, number: int, label: int, seed: int, labelled: bool) -> EncodedSample:
    noise = np.random.default_rng([seed, len(split), number])
    pixels = noise.integers(0, 100, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[..., label] += 150
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    record = {"label": label, "class": CLASSES[label]} if labelled else {}
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 2] = MASK_OBJECT
    return EncodedSample(
        f"{split}{number:04d}", buffer.getvalue(), "png", record, mask_png=encode_mask(mask)
    )


def tiny_classifier(seed: int = 0) -> SmallClassifier:
    """Untrained, with features that differ between images."""
    torch.manual_seed(seed)
    return SmallClassifier(len(CLASSES), resolution=SIDE, width=8).eval().requires_grad_(False)


def save_classifier(path: Path, seed: int = 0) -> str:
    """A classifier as the checkpoint of a run that trained it."""
    model = tiny_classifier(seed)
    weights = {f"ema.{name}": value for name, value in model.state_dict().items()}
    content = {"state_dict": weights, "model": model.recipe(), "data_name": "tiny"}
    torch.save(content | {"classes": list(CLASSES), "images_seen": 7}, path)
    return str(path)
