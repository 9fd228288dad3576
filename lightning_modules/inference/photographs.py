"""Photographs that users name: which files they are, and their pixels."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from datamodules.errors import DataError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def find_images(names: list[str]) -> list[Path]:
    """Files as they are named, folders as the images in them.

    Raises:
        DataError: a name is neither, there is no image at all, or two differ in folder or suffix
            only, so that their results would have the same names.
    """
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            paths += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.is_file():
            paths.append(path)
        else:
            raise DataError(f"There is no file or folder {name}: check --images.")
    if not paths:
        raise DataError(f"No .jpg, .png or .webp in {', '.join(names)}: check --images.")
    by_stem = {path.stem: path for path in paths}
    for path in paths:
        if by_stem[path.stem] != path:
            raise DataError(
                f"{path} and {by_stem[path.stem]} would overwrite each other's results: rename one."
            )
    return paths


def load_square(path: Path, side: int) -> Tensor:
    """The central square of a photograph as (1, 3, side, side) in [0, 1].

    Raises:
        DataError: the file can't be read as an image.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no readable image ({error}).") from error
    square = ImageOps.fit(upright, (side, side), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(square) / np.float32(255)).permute(2, 0, 1)[None]


def enlarged(photo: Tensor, size: int) -> Tensor:
    """A photograph (1, 3, H, W) as a tile (1, 3, size, size) whose pixels stay visible."""
    return F.interpolate(photo, size=(size, size), mode="nearest")
