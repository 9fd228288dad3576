"""Tell whether the files a build was given are the same as before, without reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from datamodules.build.sources import SourceImage, size_of


def image_fingerprint(images: Sequence[SourceImage], class_names: Sequence[str]) -> str:
    """Changes when an image is added, removed, relabelled or of another size; not when moved."""
    head = "\n".join(class_names)
    return _fingerprint(head, ((f"{image.label} {image.key}", image.size) for image in images))


def sidecar_fingerprint(images: Sequence[SourceImage], folder: str | None) -> str | None:
    """The same of the masks or depth maps of the images; None without a folder of them."""
    if folder is None:
        return None
    return _fingerprint("", ((image.key, size_of(image.sidecar(folder))) for image in images))


def _fingerprint(head: str, files: Iterable[tuple[str, int]]) -> str:
    """Readable in a refusal, e.g. ``"999 files, 52341 bytes, 9f86d081"``; size -1 is a gap."""
    digest = hashlib.blake2b(head.encode(), digest_size=8)
    count = total = 0
    for name, size in files:
        digest.update(f"\n{name} {size}".encode())
        count += size >= 0
        total += max(size, 0)
    return f"{count} files, {total} bytes, {digest.hexdigest()}"
