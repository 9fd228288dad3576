"""Checks of the files a build is given: the same as before, and masks with the codes used here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from datamodules.build.maps import has_codes
from datamodules.build.search import SourceImage, size_of
from datamodules.errors import DataError
from datamodules.modalities import MASK_BACKGROUND, MASK_UNKNOWN
from datamodules.picture import PictureError, open_picture

LOOKED_AT = 20  # about as many masks


def image_fingerprint(images: Sequence[SourceImage], class_names: Sequence[str]) -> str:
    """Changes when an image is added, removed, relabelled or of another size; not when moved."""
    head = "\n".join(class_names)
    return _fingerprint(head, ((f"{image.label} {image.key}", image.size) for image in images))


def sidecar_fingerprint(
    images: Sequence[SourceImage], folder: str | None, suffix: str = ".png"
) -> str | None:
    """The same of masks, depth maps or attributes of the images; None without a folder of them."""
    if folder is None:
        return None
    files = ((image.key, size_of(image.sidecar(folder, suffix))) for image in images)
    return _fingerprint("", files)


def _fingerprint(head: str, files: Iterable[tuple[str, int]]) -> str:
    """Readable in a refusal, e.g. ``"999 files, 52341 bytes, 9f86d081"``; size -1 is a gap."""
    digest = hashlib.blake2b(head.encode(), digest_size=8)
    count = total = 0
    for name, size in files:
        digest.update(f"\n{name} {size}".encode())
        count += size >= 0
        total += max(size, 0)
    return f"{count} files, {total} bytes, {digest.hexdigest()}"


def check_mask_codes(images: Sequence[SourceImage], folder: str) -> None:
    """Look at masks of images spread over the source; those that can't be read are left for later.

    Raises DataError if they hold 0 and 255 and nothing else, as tools write background and object,
    or if none is one channel of integers.
    """
    found: set[int] = set()
    unusable: list[str] = []
    for image in images[:: max(1, len(images) // LOOKED_AT)]:
        path = image.sidecar(folder)
        try:
            with open_picture(path) as file:
                if has_codes(file):
                    found |= set(np.unique(np.asarray(file)).tolist())
                else:
                    kind = "hold fractions" if file.mode == "F" else "have several channels"
                    unusable.append(f"{kind} ({path} has mode {file.mode})")
        except PictureError:
            continue
    if unusable and not found:
        raise DataError(
            f"masks in {folder} {unusable[0]}: write one channel of 0 background, 1 object, "
            "2 occluder, 255 unknown."
        )
    if found == {MASK_BACKGROUND, MASK_UNKNOWN}:
        raise DataError(
            f"masks in {folder} hold 0 and 255 only, and 255 is unknown: divide them by 255, so "
            "that objects are 1."
        )
