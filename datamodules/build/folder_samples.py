"""Samples of a folder of images with masks, depth and attributes beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.build.attributes import (
    SUFFIX,
    ImageAttributes,
    check_box_seen,
    read_attributes,
)
from datamodules.build.encode import encode_camera, encode_depth, encode_mask
from datamodules.build.keys import legible
from datamodules.build.maps import DepthKind, read_mask
from datamodules.build.occlude import chance, cut_out, occluded
from datamodules.build.prepare import Preparation
from datamodules.build.search import SourceImage
from datamodules.build.writer import EncodedSample, Rejected
from datamodules.errors import DataError
from datamodules.image_bytes import decode_map
from datamodules.modalities import DEPTH, DISPARITY_UNKNOWN, MASK, MASK_OBJECT, MASK_OCCLUDER
from datamodules.photograph import read_photograph

_OCCLUDERS = 4  # images that are drawn for an occluder, in case that some cannot be used


@dataclass(frozen=True)
class Sidecars:
    """Folders of what is known of the images beside their pixels, each None where there is none.

    masks, depth, attributes  by the names of the images; depth_kind  of the depth maps
    cover    least and most share of an object that an occluder hides
    cameras  whether the attributes of every image must tell its camera
    """

    masks: str | None = None
    depth: str | None = None
    depth_kind: DepthKind = "metres_mm"
    attributes: str | None = None
    cover: tuple[float, float] = (0.3, 0.6)
    cameras: bool = False


@dataclass(frozen=True)
class Listed:
    """An image, and some of which the first usable one gives an object that is laid over it."""

    image: SourceImage
    occluders: tuple[SourceImage, ...] = ()

    def line(self) -> str:
        """As a line of a list."""
        return json.dumps([list(vars(one).values()) for one in (self.image, *self.occluders)])

    @classmethod
    def of_line(cls, line: str) -> Listed:
        """Of a line of a list."""
        image, *occluders = (SourceImage(*values) for values in json.loads(line))
        return cls(image, tuple(occluders))


def with_occluders(images: Sequence[SourceImage], share: float, seed: int) -> Iterator[Listed]:
    """Yield a split's images in their order, a share of them, by a hash of their keys, with
    occluders: each is any image of another class with the same chance.

    Raises:
        DataError: all images are of one class.
    """
    if share == 0:
        yield from map(Listed, images)
        return
    by_class = sorted(images, key=lambda image: (image.label, image.key))
    sizes = Counter(image.label for image in by_class)
    first = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    if len(sizes) < 2:
        raise DataError(
            "occluded takes occluders from other classes, and a split has images of one class "
            "only: set it to 0, or choose another val_fraction."
        )
    for image in images:
        if chance(seed, image.key, "occluded") >= share * 2**64:
            yield Listed(image)
            continue
        own, others = sizes[image.label], len(images) - sizes[image.label]
        draws = (chance(seed, image.key, f"occluder {n}") % others for n in range(_OCCLUDERS))
        places = (at if at < first[image.label] else at + own for at in draws)
        yield Listed(image, tuple(by_class[at] for at in places))


def list_file(folder: Path, split: str, index: int) -> Path:
    """The list of the images of a shard."""
    return folder / f"{split}-{index:06d}.jsonl"


@dataclass(frozen=True)
class FolderSamples:
    """Makes the samples of one shard from the list of its images, in any process.

    lists  folder of the lists, one a shard: a worker never holds the list of the whole set
    seed   decides sizes and places of occluders
    """

    lists: str
    class_names: tuple[str, ...]
    preparation: Preparation
    sidecars: Sidecars
    seed: int = 0

    def __call__(self, split: str, index: int) -> Iterator[EncodedSample | Rejected]:
        """The samples of a shard, in order; an unreadable image comes as `Rejected`."""
        for line in list_file(Path(self.lists), split, index).read_text().splitlines():
            listed = Listed.of_line(line)
            try:
                yield self._sample(listed)
            except ValueError as error:
                yield Rejected(listed.image.where(), legible(str(error)))

    def usable(self, image: SourceImage) -> bool:
        """Whether an image becomes a sample."""
        try:
            self._sample(Listed(image))
        except ValueError:
            return False
        return True

    def _sample(self, listed: Listed) -> EncodedSample:
        image, known = listed.image, self.sidecars
        prepared = self.preparation.image(image.read())
        size = prepared.source_size
        record: dict[str, object] = {"label": image.label}
        if image.label >= 0:
            record["class"] = self.class_names[image.label]
        mask = depth = None
        if known.masks is not None:
            mask = self.preparation.mask(image.sidecar(known.masks), size)
        if known.depth is not None:
            depth = self.preparation.depth(image.sidecar(known.depth), size, known.depth_kind)
        found = self._attributes(image)
        rays, record = self._camera(found, size), record | dict(found.record)
        content, extension = prepared.content, prepared.extension
        sample = EncodedSample(image.key, content, extension, record, depth, mask, rays)
        return self._hidden(sample, prepared.pixels, listed.occluders)

    def _hidden(
        self, sample: EncodedSample, pixels: Image.Image, occluders: Sequence[SourceImage]
    ) -> EncodedSample:
        """A sample with an occluder before its object, if it has both."""
        if not occluders or sample.mask_png is None:
            return sample
        size = pixels.height, pixels.width
        codes = decode_map(sample.mask_png, 8, size, MASK)
        body = codes == MASK_OBJECT
        if not body.any():
            return sample
        seed, cover = chance(self.seed, sample.key, "place"), self.sidecars.cover
        image, over = occluded(pixels, body, *self._cut_out(occluders), cover, seed)
        depth = sample.depth_png
        if depth is not None:
            disparity = decode_map(depth, 16, size, DEPTH)
            depth = encode_depth(np.where(over, np.uint16(DISPARITY_UNKNOWN), disparity))
        return replace(
            sample,
            image_bytes=self.preparation.encoded(image),
            image_ext=self.preparation.image_format,
            mask_png=encode_mask(np.where(over, np.uint8(MASK_OCCLUDER), codes)),
            depth_png=depth,
        )

    def _cut_out(self, occluders: Sequence[SourceImage]) -> tuple[Image.Image, tuple[float, float]]:
        """The object of the first image that can be read and shows one, and its scale."""
        reasons = []
        for image in occluders:
            try:
                photograph = read_photograph(image.read())
                codes = read_mask(image.sidecar(str(self.sidecars.masks)), photograph.size)
                return cut_out(photograph, codes), self.preparation.scale(photograph.size)
            except ValueError as error:
                reasons.append(f"{image.where()}: {error}")
        raise ValueError(f"none of its occluders can be used ({'; '.join(reasons)})")

    def _attributes(self, image: SourceImage) -> ImageAttributes:
        """What is known of an image: nothing without a file, unless that has to tell a camera."""
        folder, cameras = self.sidecars.attributes, self.sidecars.cameras
        path = None if folder is None else image.sidecar(folder, SUFFIX)
        if path is None or not (cameras or path.exists()):
            return ImageAttributes(None, {})
        found = read_attributes(path)
        if (found.camera is not None) != cameras:
            has, others = ("a", "none") if found.camera is not None else ("no", "one")
            raise ValueError(f"its attributes have {has} camera, those of others have {others}")
        return found

    def _camera(self, found: ImageAttributes, size: tuple[int, int]) -> bytes | None:
        """The camera of a prepared image."""
        if found.camera is None:
            return None
        camera = self.preparation.camera(found.camera, size)
        check_box_seen(camera, found.record, self.preparation.resolution)
        return encode_camera(*camera)
