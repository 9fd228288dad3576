"""Samples of a folder of images with masks, depth and attributes beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.build.attributes import SUFFIX, ImageAttributes, read_attributes
from datamodules.build.encode import encode_camera, encode_depth, encode_mask
from datamodules.build.keys import legible
from datamodules.build.maps import DepthKind
from datamodules.build.occlude import Pixels, chance, occluded
from datamodules.build.prepare import Preparation
from datamodules.build.search import SourceImage
from datamodules.build.writer import EncodedSample, Rejected
from datamodules.errors import DataError
from datamodules.image_bytes import decode_image, decode_map
from datamodules.modalities import DEPTH, MASK


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
    """An image, and the one whose object is laid over it, if one is; seed: decides the place."""

    image: SourceImage
    occluder: SourceImage | None = None
    seed: int = 0

    def line(self) -> str:
        """As a line of a list."""
        over = self.occluder and list(asdict(self.occluder).values())
        return json.dumps([list(asdict(self.image).values()), over, self.seed])

    @classmethod
    def of_line(cls, line: str) -> Listed:
        """Of a line of a list."""
        image, over, seed = json.loads(line)
        return cls(SourceImage(*image), over and SourceImage(*over), seed)


def with_occluders(images: Sequence[SourceImage], share: float, seed: int) -> list[Listed]:
    """Give a share of a split's images an occluder of another class, by a hash of their keys.

    Raises:
        DataError: all images are of one class.
    """
    listed = [Listed(image) for image in images]
    if share == 0:
        return listed
    if len({image.label for image in images}) < 2:
        raise DataError("occluded needs images of two classes or more in each split: set it to 0.")
    for index, image in enumerate(images):
        if chance(seed, image.key, "occluded") < share * 2**64:
            place = chance(seed, image.key, "occluder")
            at = place % len(images)
            while images[at].label == image.label:
                at = (at + 1) % len(images)
            listed[index] = Listed(image, images[at], place)
    return listed


def list_file(folder: Path, split: str, index: int) -> Path:
    """The list of the images of a shard."""
    return folder / f"{split}-{index:06d}.jsonl"


@dataclass(frozen=True)
class FolderSamples:
    """Makes the samples of one shard from the list of its images, in any process.

    lists  folder of the lists, one a shard: a worker never holds the list of the whole set
    """

    lists: str
    class_names: tuple[str, ...]
    preparation: Preparation
    sidecars: Sidecars

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
        sample = self._alone(listed.image)
        if listed.occluder is None:
            return sample
        try:
            other = self._alone(listed.occluder)
        except ValueError as error:
            raise ValueError(f"its occluder {listed.occluder.where()}: {error}") from error
        laid = occluded(_pixels(sample), _pixels(other), self.sidecars.cover, listed.seed)
        disparity = laid.disparity
        return replace(
            sample,
            image_bytes=self.preparation.encoded(Image.fromarray(laid.rgb)),
            image_ext=self.preparation.image_format,
            mask_png=encode_mask(laid.mask),
            depth_png=None if disparity is None else encode_depth(disparity),
        )

    def _alone(self, image: SourceImage) -> EncodedSample:
        """An image as it is."""
        prepared = self.preparation.image(image.read())
        size, known = prepared.source_size, self.sidecars
        mask = depth = rays = None
        if known.masks is not None:
            mask = self.preparation.mask(image.sidecar(known.masks), size)
        if known.depth is not None:
            depth = self.preparation.depth(image.sidecar(known.depth), size, known.depth_kind)
        record: dict[str, object] = {"label": image.label}
        if image.label >= 0:
            record["class"] = self.class_names[image.label]
        if known.attributes is not None:
            found = read_attributes(image.sidecar(known.attributes, SUFFIX))
            rays, record = self._camera(found, size), record | dict(found.record)
        content, extension = prepared.content, prepared.extension
        return EncodedSample(image.key, content, extension, record, depth, mask, rays)

    def _camera(self, found: ImageAttributes, size: tuple[int, int]) -> bytes | None:
        if (found.camera is not None) != self.sidecars.cameras:
            has, others = ("a", "none") if found.camera is not None else ("no", "one")
            raise ValueError(f"its attributes have {has} camera, those of others have {others}")
        if found.camera is None:
            return None
        return encode_camera(*self.preparation.camera(found.camera, size))


def _pixels(sample: EncodedSample) -> Pixels:
    """The pixels of a sample with a mask."""
    rgb = decode_image(sample.image_bytes, sample.image_ext)
    size = rgb.shape[0], rgb.shape[1]
    assert sample.mask_png is not None
    codes = decode_map(sample.mask_png, 8, size, MASK)
    depth = sample.depth_png
    disparity = None if depth is None else decode_map(depth, 16, size, DEPTH)
    return Pixels(rgb, codes, None if disparity is None else disparity.astype(np.uint16))
