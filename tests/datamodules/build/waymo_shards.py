"""Shards that tests convert from files of `waymo_files`, and what is in them."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from waymo_files import CropRow, crop_row

from datamodules.build.waymo import shards_waymo
from datamodules.manifest import Manifest
from datamodules.rays_file import read_rays

RESOLUTION = 48
SIZES = [(60, 44), (44, 60), (50, 50), (64, 40), (48, 52), (40, 41), (55, 48), (44, 44), (90, 70)]


def rows_of(segment: str, first: int, **settings: float) -> list[CropRow]:
    return [
        crop_row(first + number, *size, segment=segment, **settings)
        for number, size in enumerate(SIZES)
    ]


def convert(root: Path, out: Path, **settings: object) -> Manifest:
    options = {"kinds": ("vehicle",), "resolution": RESOLUTION, "workers": 1, "min_visible": 0.2}
    options |= settings
    return shards_waymo(str(root), str(out), **options)


def samples_of(out: Path) -> dict[str, dict]:
    """What the shards hold by key: record, rgb, mask, depth, rays, and the split."""
    found: dict[str, dict] = {}
    for path in sorted(out.glob("*/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                key, _, kind = member.name.partition(".")
                content = tar.extractfile(member).read()
                sample = found.setdefault(key, {"split": path.parent.name})
                if kind == "json":
                    sample["record"] = json.loads(content)
                elif kind == "rays.npz":
                    grid = read_rays(content, (RESOLUTION, RESOLUTION))
                    sample["rays"] = grid.at(np.arange(RESOLUTION), np.arange(RESOLUTION))
                else:
                    image = np.asarray(Image.open(io.BytesIO(content)))
                    sample[kind.removesuffix(".png")] = image
    return found


def rejected(out: Path) -> dict[str, str]:
    with (out / "rejected.csv").open(newline="") as file:
        return {row["source"]: row["reason"] for row in csv.DictReader(file)}
