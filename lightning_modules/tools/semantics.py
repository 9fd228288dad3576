"""`wild3d semantics`: feature vectors of images, in the records of new shards or in files."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from datamodules.augment import Augmentation, Draw
from datamodules.build.driver import build_shards
from datamodules.build.writer import EncodedSample
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError, Failures, counted
from datamodules.files import write_atomically
from datamodules.image_header import FORMATS, read_header
from datamodules.join import JoinedShard, RawSample
from datamodules.manifest import Manifest, Parameter, images_hash
from datamodules.modalities import DEPTH, MASK, MASK_OBJECT, RAYS, RGB, SIDECARS, SPLITS
from datamodules.places import check_outside
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import check_holds_images
from lightning_modules.evaluation.image_encoders import ImageEncoder, open_encoder
from lightning_modules.evaluation.transformers_trunk import Pool
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import BatchSize, Device, Pixels
from lightning_modules.inference.photographs import find_images, load_square
from lightning_modules.inference.sampling_options import check_unused

WHITE = 1.0
"""Grey level around an object."""


def semantics(
    network: str,
    out: str,
    root: str | None = None,
    images: tuple[str, ...] = (),
    weights: str | None = None,
    side: Pixels | None = None,
    pool: Pool | None = None,
    masked: bool = False,
    batch_size: BatchSize = 32,
    device: Device = AUTO,
) -> None:
    """Write feature vectors of images, the semantic condition of a prior: of a shard root into the
    records of new shards, of photographs into files for `wild3d sample --semantics`.

    The vector of an image is that of its middle square, of length 1. The new shards are those of
    `root` in all else. The same command again continues after an interruption. Other settings or
    other images need another `out`. An unusable image ends the command with a sentence that names
    it.

    Args:
        network: image encoder: torchvision:NAME of a classifier, e.g. torchvision:resnet50, whose
            features before the logits are taken; transformers:NAME or transformers:FOLDER; or a
            checkpoint of `make classifier`. Nothing is downloaded.
        out: folder to write: shards, or a NAME.npy for each photograph.
        root: folder of image shards, or its url; or give images.
        images: photographs or folders of them, e.g. a.jpg b.jpg; or give root.
        weights: state dict of torchvision's network; by default it is looked for in torch's cache.
        side: pixels along the images that the network sees; by default as in its training.
        pool: of a model of transformers, its first token (cls) or the mean of all; by default its
            pooled output, or the mean where it has none.
        masked: show the network the object's pixels by the masks of `root`, all else white.
        batch_size: images encoded at once.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
    """
    device = chosen_device(device)
    if root is not None and images:
        raise DataError("--root and --images are both given: name shards or photographs.")
    if root is not None:
        source = _read_source(root, out, masked)
        encoder = open_encoder(network, weights, side, pool).to(device)
        _of_shards(DescribedImages(encoder, root, source, masked, batch_size, device), out)
        return
    if not images:
        raise DataError("Neither --root nor --images is given: name shards or photographs.")
    check_unused({"masked": masked or None}, "photographs have no masks")
    paths = find_images(list(images))
    _of_photographs(paths, Path(out), open_encoder(network, weights, side, pool).to(device), device)


def _read_source(root: str, out: str, masked: bool) -> Manifest:
    """The manifest of shards that can be described into `out`; DataError if they can't."""
    check_outside(out, [f"{root}/{split}" for split in SPLITS])
    source = read_manifest(root)
    check_holds_images(source, root)
    if masked and MASK not in source.modalities:
        raise DataError(f"{root} has no masks: add them, or leave --masked out.")
    return source


def _of_shards(samples: "DescribedImages", out: str) -> None:
    source = samples.source
    counts = {split: [shard.samples for shard in found] for split, found in source.splits.items()}
    parameters = samples.parameters()
    written = build_shards(out, counts, samples, 1, source.classes, source.resolution, parameters)
    images = counted(sum(written.samples(split) for split in written.splits), "image")
    print(f"{images} in {out}: their semantics have {samples.encoder.width} numbers")


def _of_photographs(paths: Sequence[Path], out: Path, encoder: ImageEncoder, device: str) -> None:
    failures = Failures(len(paths))
    for path in paths:
        with failures.kept():
            found = encoder(load_square(path, encoder.side).to(device))[0]
            file = io.BytesIO()
            np.save(file, np.asarray(as_stored(found, str(path), encoder), np.float32))
            write_atomically(out / f"{path.stem}.npy", file.getvalue())
    done = counted(len(paths) - len(failures.reasons), "vector")
    print(f"{done} of {encoder.width} numbers in {out}")
    failures.tell()


def as_stored(vector: Tensor, what: str, encoder: ImageEncoder) -> list[float]:
    """A vector (F,) as numbers of six digits.

    Raises:
        DataError: it is not finite; `what` says of which image.
    """
    if not vector.isfinite().all():
        raise DataError(
            f"{what}: what {encoder.name} makes of it is zero or not finite: name another network "
            "in --network."
        )
    return [float(f"{value:.6g}") for value in vector.tolist()]


@dataclass(frozen=True)
class DescribedImages:
    """Callable (split, shard index) -> that shard's samples as they are, but for the `semantics` in
    their records.

    masked: the network sees the object's pixels alone. An image without any gets no vector, which
    means an unknown condition; these are counted in a printed line. An unusable image raises
    DataError.
    """

    encoder: ImageEncoder
    root: str
    source: Manifest
    masked: bool
    batch_size: int
    device: str

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the source, images first."""
        return (RGB, *(name for name in SIDECARS if name in self.source.modalities))

    def parameters(self) -> dict[str, Parameter]:
        """Settings that decide the content, and those of the tool that wrote the source."""
        own: dict[str, Parameter] = {
            "tool": "semantics",
            "network": self.encoder.name,
            "weights": self.encoder.weights,
            "side": self.encoder.side,
            "semantics": self.encoder.width,
            "masked": self.masked,
        }
        checksums = {f"source_{name}": images_hash(self.source, name) for name in self.modalities}
        before = {f"source.{name}": value for name, value in self.source.parameters.items()}
        return own | checksums | before

    def __call__(self, split: str, index: int) -> Iterator[EncodedSample]:
        """Read and describe one shard, batch by batch."""
        shard, blank = self.source.splits[split][index], []
        stored = JoinedShard(self.root, split, shard, self.modalities, strict=True)
        try:
            for start in range(0, shard.samples, self.batch_size):
                rows = range(start, min(start + self.batch_size, shard.samples))
                raws = [stored.read(row) for row in rows]
                named = [stored.describe(row) for row in rows]
                seen = [self._seen(raw, name) for raw, name in zip(raws, named, strict=True)]
                blank += [raw.key for raw, image in zip(raws, seen, strict=True) if image is None]
                for raw, vector in zip(raws, self._vectors(seen, named), strict=True):
                    yield _with_semantics(raw, vector)
        finally:
            stored.close()
        if blank:
            print(
                f"{split}, shard {shard.name}: {len(blank)} of {counted(shard.samples, 'image')} "
                f"without pixels of an object get no vector, first {blank[0]}."
            )

    def _seen(self, raw: RawSample, name: str) -> Tensor | None:
        """What the network sees of an image (3, side, side) in [0, 1]; None of no object."""
        side = self.encoder.side
        masks = {MASK: raw.sidecars[MASK]} if self.masked else {}
        try:
            image_format = FORMATS.get(raw.extension.lower())
            # Images smaller than the network's are enlarged, which decoding for training refuses.
            size = (side, side) if image_format is None else read_header(raw.payload, image_format)
            view = Augmentation(min(side, *size[:2]), background=WHITE if self.masked else None)
            decoder = ImageDecoder(view, classes=len(self.source.classes))
            sample = decoder(replace(raw, sidecars=masks), Draw(False, 0.0, 0.0))
        except ValueError as error:
            raise DataError(f"{name}: {error}.") from error
        if sample.mask is not None and not (sample.mask == MASK_OBJECT).any():
            return None
        image = torch.from_numpy(sample.image).float() / 255
        if image.shape[-1] != side:
            image = interpolate(image[None], (side, side), mode="bilinear")[0]
        return image

    def _vectors(
        self, images: Sequence[Tensor | None], names: Sequence[str]
    ) -> Iterator[list[float] | None]:
        """Vector of each image of a batch, None of None."""
        known = [image for image in images if image is not None]
        found = iter(self.encoder(torch.stack(known).to(self.device)).cpu() if known else ())
        for image, name in zip(images, names, strict=True):
            yield None if image is None else as_stored(next(found), name, self.encoder)


def _with_semantics(raw: RawSample, vector: list[float] | None) -> EncodedSample:
    """A stored sample with this vector in its record, or none."""
    record = {name: value for name, value in raw.record.items() if name != "semantics"}
    extension = raw.extension.lower()
    parts = {name: bytes(content) for name, content in raw.sidecars.items()}
    return EncodedSample(
        key=raw.key,
        image_bytes=bytes(raw.payload),
        image_ext="jpg" if extension == "jpeg" else extension,
        json_record=record if vector is None else record | {"semantics": vector},
        depth_png=parts.get(DEPTH),
        mask_png=parts.get(MASK),
        rays_npz=parts.get(RAYS),
    )
