"""Photographs that users name: which files they are, their pixels, and what is known of them."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.build.search import PassedOver
from datamodules.errors import DataError
from datamodules.lookup import find_image, is_shard_root
from datamodules.photograph import read_photograph
from datamodules.picture import SUFFIXES, PictureError, is_hidden
from lightning_modules.inference.tokenise import sight
from models.autoencoder import UNKNOWN, Sight


@dataclass(frozen=True)
class Photograph:
    """A square photograph (1, 3, side, side) in [0, 1], and what is known of how it was seen."""

    pixels: Tensor
    sight: Sight = UNKNOWN


def find_images(names: list[str], option: str = "--images") -> list[Path]:
    """Files as they are named, folders as the images in them, each once; hidden ones are passed
    over where there are others. What is not there, and folders without images, stay in the list,
    for their reading to say so; what else folders hold is told. ROOT/KEY is an image in shards.

    Args:
        names: files and folders.
        option: where they were named, for errors.

    Raises:
        DataError: there is no name, an empty one, or nothing of that name for any; a folder can't
            be read, there is no image at all, or two differ in folder or suffix only, so that their
            results would have the same names.
    """
    if not names:
        raise DataError(f"{option} is empty: name at least one photograph.")
    faults = [fault for name in names if (fault := _fault(name, option))]
    if len(faults) == len(names) or "" in names:
        raise DataError(" ".join(faults))
    paths: list[Path] = []
    for name in names:
        paths += (_images_in(Path(name), option) if os.path.isdir(name) else []) or [Path(name)]
    paths = list(dict.fromkeys(paths))
    paths = [path for path in paths if not is_hidden(path.name)] or paths
    if roots := [path for path in paths if is_shard_root(path)]:
        raise DataError(
            f"{roots[0]} holds shards: name their photographs by keys, e.g. {roots[0]}/KEY."
        )
    if all(map(os.path.isdir, paths)):
        raise DataError(f"No .jpg, .png or .webp in {', '.join(names)}: check {option}.")
    by_stem = {path.stem: path for path in paths}
    for path in paths:
        if by_stem[path.stem] != path:
            raise DataError(
                f"{path} and {by_stem[path.stem]} would overwrite each other's results: rename one."
            )
    return paths


def load_photograph(path: Path, side: int, device: torch.device | str = "cpu") -> Photograph:
    """The central square of a photograph, and, of one in shards, its mask, rays and box.

    path: of an image file, or a shard root and a key in it.

    Raises:
        DataError: there is no such image, or it can't be read.
    """
    if in_shards(path):
        batch = find_image(path.parent, path.name, side).to(device)
        return Photograph(batch.float_image(), sight(batch))
    try:
        upright = read_photograph(path)
    except PictureError as error:
        raise DataError(f"{path} is no readable image: {error}.") from error
    square = ImageOps.fit(upright, (side, side), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.asarray(square) / np.float32(255)).permute(2, 0, 1)[None]
    return Photograph(pixels.to(device))


def load_square(path: Path, side: int) -> Tensor:
    """The pixels of `load_photograph`, enlarged where an image in shards is smaller."""
    if not in_shards(path):
        return load_photograph(path, side).pixels
    pixels = find_image(path.parent, path.name, side, or_smaller=True).float_image()
    if pixels.shape[-1] < side:
        pixels = F.interpolate(pixels, (side, side), mode="bicubic").clamp(0, 1)
    return pixels


def in_shards(path: Path) -> bool:
    """Whether a path is no file, but a shard root and a key."""
    return not os.path.lexists(path) and is_shard_root(path.parent)


def _fault(name: str, option: str) -> str:
    """Why there is nothing of a name, empty if there is; of a pipe its reading says what it is."""
    path = Path(name)
    try:
        if name and (path.is_dir() or path.exists() or in_shards(path)):
            return ""
    except OSError as error:  # of a folder around it, or of its name
        return f"{name} cannot be read: {error.strerror}; check {option}."
    return f"There is no file or folder {name or repr('')}: check {option}."


def _images_in(folder: Path, option: str) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check {option}.") from error
    files = [path for path in entries if not is_hidden(path.name) and not path.is_dir()]
    suffixes = Counter(path.suffix.lower() for path in files)
    others = Counter({suffix: n for suffix, n in suffixes.items() if suffix not in SUFFIXES})
    for sentence in PassedOver(others).sentences():
        print(f"{folder}: {sentence}")
    return [path for path in files if path.suffix.lower() in SUFFIXES]


def enlarged(photo: Tensor, size: int) -> Tensor:
    """A photograph (1, 3, H, W) as a tile (1, 3, size, size) whose pixels stay visible."""
    return F.interpolate(photo, size=(size, size), mode="nearest")
