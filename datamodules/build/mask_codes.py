"""Notice masks of 0 and 255 before shards are written: here 255 means unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from datamodules.build.sources import SourceImage
from datamodules.errors import DataError
from datamodules.modalities import MASK_BACKGROUND, MASK_UNKNOWN

LOOKED_AT = 20


def check_mask_codes(images: Sequence[SourceImage], folder: str) -> None:
    """Look at masks of images spread over the source; those that can't be read are left for later.

    Raises DataError if they hold 0 and 255 and nothing else, as tools write background and object.
    """
    found: set[int] = set()
    for image in images[:: max(1, len(images) // LOOKED_AT)]:
        try:
            with Image.open(image.sidecar(folder)) as file:
                found |= set(np.unique(np.asarray(file)).tolist())
        except (OSError, Image.DecompressionBombError):
            continue
    if found == {MASK_BACKGROUND, MASK_UNKNOWN}:
        raise DataError(
            f"masks in {folder} hold 0 and 255 only, and 255 is unknown: divide them by 255, so "
            "that objects are 1."
        )
