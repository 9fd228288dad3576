"""Small data of real formats, and networks of random weights, for presets of published sizes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
from torchvision.models import get_model

from datamodules.build.driver import build_shards
from datamodules.build.shapeworld.samples import ShapeworldSamples
from datamodules.build.waymo.verb import shards_waymo
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.modalities import TRAIN, VAL

WAYMO_FILES = "tests/datamodules/build/waymo_files.py"
"""Writes crops as the parquet files of Waymo have them."""
SIDES = (256, 300)
"""Least and most pixels of a crop's side."""


@dataclass(frozen=True)
class Images:
    """Shards to be made: pictures of the embedded scenes with depth and class names of their own,
    or Waymo's crops of vehicles and pedestrians; two images to train on."""

    resolution: int
    classes: int
    waymo: bool = False

    @property
    def name(self) -> str:
        """Of their folder."""
        kind = "waymo" if self.waymo else f"photographs-{self.classes}"
        return f"{kind}-{self.resolution}px"


@dataclass(frozen=True)
class Networks:
    """Files of random weights in torchvision's format: VGG16 for the perceptual loss, and what
    stands for Inception in KID."""

    vgg16: Path
    kid: Path
    kid_name: str = "torchvision:squeezenet1_1"


def make_networks(work: Path) -> Networks:
    """Write them, unless they are there."""
    networks = Networks(work / "vgg16-random.pth", work / "squeezenet1_1-random.pth")
    for path, name in ((networks.vgg16, "vgg16"), (networks.kid, "squeezenet1_1")):
        if not path.exists():
            torch.manual_seed(0)
            torch.save(get_model(name, weights=None).state_dict(), path)
    return networks


def make_images(images: Images, work: Path) -> Path:
    """Write shards below a folder, unless they are there; returns their root.

    Raises:
        DataError: the converter did not take every crop.
    """
    root = work / images.name
    if images.waymo:
        _make_crops(images, work / f"{images.name}-parquet", root)
        return root
    counts: dict[str, tuple[int, ...]] = {TRAIN: (2,), VAL: (1,)}
    scenes = ShapeworldSamples(0, images.resolution, counts)
    names = [f"class-{label:04}" for label in range(images.classes)]

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        for number, sample in enumerate(scenes(split, shard)):
            label = number % images.classes
            record = {"label": label, "class": names[label]}
            yield replace(sample, json_record=record, mask_png=None, rays_npz=None)

    build_shards(root, counts, samples, 1, names, images.resolution, {"tool": "published"})
    return root


def _make_crops(images: Images, parquet: Path, root: Path) -> None:
    """A vehicle and a pedestrian, and the same to validate on."""
    if not parquet.exists():
        for folder, kind in product(("training", "validation"), ("veh", "ped")):
            words = ["--out", str(parquet / folder), "--crops", "1", "--kind", kind]
            words += ["--sides", *map(str, SIDES)]
            subprocess.run([sys.executable, WAYMO_FILES, *words], check=True)
    manifest = shards_waymo(str(parquet), str(root), resolution=images.resolution, workers=1)
    if manifest.samples(TRAIN) != 2:
        raise DataError(f"{root} has {manifest.samples(TRAIN)} crops to train on, not 2.")
