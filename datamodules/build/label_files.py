"""Label files of other tools beside the images of finished shards: `wild3d label files`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules.build.disparity import scaled_disparity, stretched_disparity, to_disparity
from datamodules.build.encode import encode_depth, encode_mask
from datamodules.build.float_maps import SUFFIXES, read_map
from datamodules.build.keys import make_key
from datamodules.build.labelling import Label, stated_size
from datamodules.errors import DataError
from datamodules.join import JoinedShard, RawSample
from datamodules.manifest import Parameter, ShardInfo
from datamodules.modalities import DEPTH, MASK, MASK_UNKNOWN, RGB
from datamodules.picture import PictureError, is_hidden
from datamodules.remote import read_manifest

Kind = Literal["depth", "disparity", "relative", "mask"]
TAILS = re.compile(r"[_.-](depth|disparity|disp|mask|seg|segmentation|label|pred|raw)$", re.I)
"""Of names that are not part of the image's."""


@dataclass(frozen=True)
class MapReading:
    """What the numbers in label files mean.

    kind: depth in any unit of length (what is not above 0 is unknown); disparity, true up to a
    factor (likewise); relative disparity, true up to an offset too (every finite number counts); or
    mask. values: mask code of each number, where files hold others than 0, 1, 2 and 255.
    """

    kind: Kind
    values: Mapping[int, int] = field(default_factory=dict)

    @property
    def modality(self) -> str:
        """The sidecar that it becomes."""
        return MASK if self.kind == "mask" else DEPTH

    def encoded(self, numbers: np.ndarray) -> bytes:
        """Numbers (H, W) as they are stored; ValueError with the reason if they can't be."""
        if self.kind == "mask":
            return encode_mask(self._codes(numbers))
        numbers = numbers.astype(np.float64)
        if self.kind == "relative":
            return encode_depth(stretched_disparity(numbers))
        found = to_disparity(numbers) if self.kind == "depth" else scaled_disparity(numbers)
        if not found.any():
            raise ValueError("no number in it is finite and above 0")
        return encode_depth(found)

    def unknown(self, height: int, width: int) -> bytes:
        """The label of an image without one."""
        if self.kind == "mask":
            return encode_mask(np.full((height, width), MASK_UNKNOWN, np.uint8))
        return encode_depth(np.zeros((height, width), np.uint16))

    def _codes(self, numbers: np.ndarray) -> np.ndarray:
        known = self.values or {code: code for code in (0, 1, 2, 255)}
        found = np.full(numbers.shape, -1)
        for number, code in known.items():
            found[numbers == number] = code
        if (others := np.unique(numbers[found < 0])).size:
            shown = ", ".join(f"{value:g}" for value in others[:5].tolist())
            raise ValueError(f"it holds {shown}, which --codes says nothing of")
        return found.astype(np.uint8)


@dataclass(frozen=True)
class FileLabels:
    """Callable (split, shard) -> the labels of its images out of files.

    files: by the key of their name; a name with a tail is also that of the image without it, where
    it has no file of its own. squared: images were cut to their middle square, and so are maps of
    whole photographs.
    """

    root: str
    files: Mapping[str, Path]
    reading: MapReading
    squared: bool

    def __call__(self, split: str, shard: ShardInfo) -> Iterator[Label]:
        """The labels of one shard."""
        images = JoinedShard(self.root, split, shard, (RGB,), strict=True)
        try:
            for row in range(shard.samples):
                yield self._label(images.read(row))
        finally:
            images.close()

    def _label(self, raw: RawSample) -> Label:
        size = stated_size(raw)
        try:
            if (path := self.files.get(raw.key)) is None:
                raise PictureError("there is no file of its name")
            return Label(raw.key, self.reading.encoded(fitted(read_map(path), size, self.squared)))
        except ValueError as error:  # a PictureError is one
            return Label(raw.key, self.reading.unknown(*size), str(error))

    def made(self) -> dict[str, Parameter]:
        """All that the labels depend on, for the manifest: the files by name and size."""
        digest, total = hashlib.blake2b(digest_size=8), 0
        for key, path in sorted(self.files.items()):
            size = path.stat().st_size
            digest.update(f"\n{key} {size}".encode())
            total += size
        values = ", ".join(f"{a}={b}" for a, b in sorted(self.reading.values.items()))
        return {
            "tool": "wild3d label files",
            "kind": self.reading.kind,
            "values": values or None,
            "files": f"{len(self.files)} files, {total} bytes, {digest.hexdigest()}",
        }


def fitted(numbers: np.ndarray, size: tuple[int, int], squared: bool) -> np.ndarray:
    """A map (h, w) at the size (H, W) of its image, each pixel the nearest of the map.

    A map of the same proportions is that of the whole image; another one that of the photograph
    whose middle square the image is.

    Raises:
        PictureError: it has other proportions, and the image is no middle square.
    """
    height, width = numbers.shape
    if abs(height * size[1] - width * size[0]) > max(size[0], size[1], height, width):
        if not squared or size[0] != size[1]:
            raise PictureError(
                f"it is {width} x {height}, of other proportions than its image, {size[1]} x "
                f"{size[0]}"
            )
        side = min(height, width)
        top, left = (height - side) / 2, (width - side) / 2
        return _nearest(numbers, size, (top, left, side, side))
    return _nearest(numbers, size, (0, 0, height, width))


def _nearest(
    numbers: np.ndarray, size: tuple[int, int], window: tuple[float, float, float, float]
) -> np.ndarray:
    """The window (top, left, height, width) of a map at a size (H, W)."""
    top, left, height, width = window
    rows, columns = (
        (start + (np.arange(count) + 0.5) * length / count).astype(int)
        for start, length, count in ((top, height, size[0]), (left, width, size[1]))
    )
    return numbers[rows[:, None], columns]


def files_by_key(folder: str) -> dict[str, Path]:
    """Label files in a folder, `<class>/<name>` or loose, by the key of their image: that of the
    whole name, and that without a tail such as `_depth` where no other file has it.

    Raises:
        DataError: there is no such folder, or none in it, or two of one name.
    """
    if not os.path.isdir(folder):
        raise DataError(f"--files is {folder}, which is no folder.")
    exact: dict[str, Path] = {}
    shortened: dict[str, Path] = {}
    for path, of_class in _maps_in(folder):
        stem = os.path.relpath(path, os.path.join(folder, of_class)).removesuffix(path.suffix)
        _enter(exact, make_key(of_class, stem), path)
        if (short := TAILS.sub("", stem)) != stem:
            _enter(shortened, make_key(of_class, short), path)
    if not exact:
        raise DataError(f"{folder} has no file that ends in {', '.join(SUFFIXES)}.")
    return shortened | exact


def _maps_in(folder: str) -> Iterator[tuple[Path, str]]:
    """Paths of the files, and the folder of the class they lie in, empty for none."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        inside = os.path.relpath(place, folder)
        of_class = "" if inside == "." else inside.split(os.sep, 1)[0]
        for name in sorted(names):
            if not is_hidden(name) and Path(name).suffix.lower() in SUFFIXES:
                yield Path(place, name), of_class


def _enter(found: dict[str, Path], key: str, path: Path) -> None:
    if key in found:
        raise DataError(f"{found[key]} and {path} are both of {key}: keep one of them.")
    found[key] = path


def check_some_match(root: str, files: Mapping[str, Path]) -> None:
    """DataError if no file is of an image of a root."""
    for split, shards in read_manifest(root).splits.items():
        for shard in shards:
            images = JoinedShard(root, split, shard, (RGB,), strict=True)
            keys = images.keys
            images.close()
            if any(key in files for key in keys):
                return
    raise DataError(
        f"No file in --files has the name of an image in {root}: they are of {next(iter(files))} "
        f"and so on, the images of {keys[0]} and so on."
    )
