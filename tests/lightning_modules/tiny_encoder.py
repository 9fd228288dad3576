"""Files of an untrained network of torchvision, and images to describe."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.models import get_model

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_camera, encode_depth, encode_mask, encode_png
from datamodules.build.writer import EncodedSample
from datamodules.manifest import Manifest
from datamodules.modalities import MASK_OBJECT, MASK_OCCLUDER, TIMES_OF_DAY

NETWORK, WIDTH = "squeezenet1_1", 512
SIDE = 48
COUNTS = {"train": (5, 4), "val": (3,)}


def save_network(path: Path, seed: int = 0) -> str:
    """A state dict, as torchvision publishes them."""
    torch.manual_seed(seed)
    torch.save(get_model(NETWORK, weights=None).state_dict(), path)
    return str(path)


def pixels_of(split: str, number: int) -> np.ndarray:
    """Noise (SIDE, SIDE, 3) uint8."""
    return np.random.default_rng([len(split), number]).integers(
        0, 256, (SIDE, SIDE, 3), dtype=np.uint8
    )


def mask_of(number: int) -> np.ndarray:
    """The object in some of the upper rows, an occluder in the lowest; nothing in image 2."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: 10 + number % 7] = MASK_OBJECT
    mask[-5:] = MASK_OCCLUDER
    return mask * (number != 2)


def record_of(number: int) -> Mapping[str, Any]:
    """Every label, those of others, and a vector of another network."""
    known = {"size": [1.0 + number, 2, 0.5], "time_of_day": TIMES_OF_DAY[number % 3]}
    return {"label": number % 2, "class": "ab"[number % 2], "own": {"x": [1]}} | known


def write_images(root: Path, sidecars: bool = True) -> Manifest:
    """Shards of 9 training and 3 validation images."""

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        for row in range(COUNTS[split][shard]):
            number = 5 * shard + row
            record = dict(record_of(number))
            if number == 1:
                record["semantics"] = [0.5, 0.5]
            image = encode_png(pixels_of(split, number))
            parts = {}
            if sidecars:
                parts["depth_png"] = encode_depth(np.full((SIDE, SIDE), 9 + number, np.uint16))
                parts["mask_png"] = encode_mask(mask_of(number))
                parts["rays_npz"] = encode_camera(np.eye(4), np.eye(3))
            yield EncodedSample(f"{split}{number:03d}", image, "png", record, **parts)

    return build_shards(root, COUNTS, samples, 1, ["a", "b"], SIDE, {"tool": "test", "seed": 3})
