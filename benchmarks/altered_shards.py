"""`python -m benchmarks.altered_shards`: a copy of a shard root with worse masks or fewer images.

For studies of what labels and data are worth: only the training split is altered, so that all are
measured on the same validation images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_mask
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.image_bytes import decode_image, decode_map
from datamodules.join import JoinedShard
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK, MASK_BACKGROUND, MASK_OBJECT, RAYS, RGB, TRAIN
from datamodules.remote import read_manifest
from lightning_modules.cli.faults import exit_code

NOISE_CELL = 8
"""Side in pixels of the cells that a noise mask is made of, before it is smoothed."""


@dataclass(frozen=True)
class Alteration:
    """What is altered of the training images.

    grow: pixels by which masks of objects grow, or, below 0, shrink; noise: share of the images
    whose mask is replaced by noise; rare: a class, of which `images` are kept, the first in stored
    order; alone: whether no other class is.
    """

    grow: int = 0
    noise: float = 0.0
    rare: str = ""
    images: int = 0
    alone: bool = False

    def mask(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The altered mask (H, W) uint8."""
        if rng.random() < self.noise:
            return noise_mask(codes.shape, rng)
        return grown(codes, self.grow)


def grown(codes: np.ndarray, pixels: int) -> np.ndarray:
    """Mask codes (H, W) whose object grew over, or shrank from, what is beside it."""
    side = 2 * abs(pixels) + 1
    shape = torch.from_numpy(codes == MASK_OBJECT).float()[None]
    sign = -1 if pixels < 0 else 1
    reached = sign * F.max_pool2d(sign * shape, side, stride=1, padding=abs(pixels)) > 0.5
    inside = reached[0].numpy()
    lost = (codes == MASK_OBJECT) & ~inside
    return np.where(inside, MASK_OBJECT, np.where(lost, MASK_BACKGROUND, codes)).astype(np.uint8)


def noise_mask(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A mask (H, W) of smooth random blobs, about a third of it object."""
    height, width = shape
    cells = torch.from_numpy(rng.random((1, 1, height // NOISE_CELL + 1, width // NOISE_CELL + 1)))
    smooth = F.interpolate(cells, (height, width), mode="bicubic")[0, 0].numpy()
    return np.where(smooth > np.quantile(smooth, 2 / 3), MASK_OBJECT, MASK_BACKGROUND).astype(
        np.uint8
    )


@dataclass(frozen=True)
class AlteredSamples:
    """Callable (split, shard index) -> the samples of a shard of a root, altered in training.

    rows: by shard of the training split, the rows that are kept.
    """

    root: str
    source: Manifest
    alteration: Alteration
    rows: tuple[tuple[int, ...], ...]

    def __call__(self, split: str, index: int) -> Iterator[EncodedSample]:
        """Copy one shard."""
        shard = self.source.splits[split][index]
        joined = JoinedShard(self.root, split, shard, self.source.modalities, strict=True)
        rng = np.random.default_rng((index, len(split)))
        try:
            for row in self.rows[index] if split == TRAIN else range(shard.samples):
                raw = joined.read(row)
                sidecars = {name: bytes(raw.sidecars[name]) for name in raw.sidecars}
                if split == TRAIN and MASK in sidecars:
                    size = decode_image(raw.payload, raw.extension).shape[:2]
                    codes = decode_map(sidecars[MASK], 8, (size[0], size[1]), MASK)
                    sidecars[MASK] = encode_mask(self.alteration.mask(codes, rng))
                yield EncodedSample(
                    raw.key,
                    bytes(raw.payload),
                    raw.extension,
                    raw.record,
                    sidecars.get(DEPTH),
                    sidecars.get(MASK),
                    sidecars.get(RAYS),
                )
        finally:
            joined.close()


def kept_rows(root: str, source: Manifest, alteration: Alteration) -> list[tuple[int, ...]]:
    """Rows of each training shard that an alteration keeps.

    Raises:
        DataError: the rare class is none of the root's.
    """
    if alteration.rare and alteration.rare not in source.classes:
        raise DataError(
            f"rare is {alteration.rare}, it must be one of {', '.join(source.classes)}."
        )
    label = source.classes.index(alteration.rare) if alteration.rare else -1
    found, left = list[tuple[int, ...]](), alteration.images
    for shard in source.splits[TRAIN]:
        joined, rows = JoinedShard(root, TRAIN, shard, (RGB,), strict=True), list[int]()
        for row in range(shard.samples):
            rare = joined.record(row)[1].get("label") == label
            if not alteration.rare or (left > 0 if rare else not alteration.alone):
                rows.append(row)
                left -= rare
        joined.close()
        found.append(tuple(rows))
    return found


def altered_shards(root: str, out: str, alteration: Alteration) -> Manifest:
    """Write the altered copy of a root; see `build_shards`."""
    source = read_manifest(root)
    rows = kept_rows(root, source, alteration)
    counts = {split: [s.samples for s in shards] for split, shards in source.splits.items()}
    counts[TRAIN] = [len(kept) for kept in rows]
    samples = AlteredSamples(root, source, alteration, tuple(rows))
    changes = {f"altered_{name}": value for name, value in asdict(alteration).items()}
    parameters = dict(source.parameters) | changes
    return build_shards(out, counts, samples, 1, source.classes, source.resolution, parameters)


def main() -> None:
    """Write the copy that the command line asks for."""
    name = "python -m benchmarks.altered_shards"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--root", required=True, help="shards to copy")
    parser.add_argument("--out", required=True, help="folder to write")
    for field in fields(Alteration):
        kind = {"int": int, "float": float, "str": str}.get(str(field.type))
        if kind is None:
            parser.add_argument(f"--{field.name}", action="store_true")
        else:
            parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    given = vars(parser.parse_args())
    root, out = given.pop("root"), given.pop("out")
    written = altered_shards(root, out, Alteration(**given))
    print(f"{out}: {written.samples(TRAIN)} training images")


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.altered_shards"))
