"""`wild3d tokens`: the tokens of every image of a shard root, in shards of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from datamodules.augment import Augmentation
from datamodules.build.driver import REJECTED_NAME, build_shards
from datamodules.build.encode import encode_tokens
from datamodules.build.writer import EncodedTokens, Rejected
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError, counted
from datamodules.join import JoinedShard
from datamodules.loader import ShardLoader
from datamodules.manifest import Manifest, ShardInfo, images_hash
from datamodules.modalities import MASK, RAYS, RGB, SPLITS, TRAIN, visible_share
from datamodules.order import StorageOrder
from datamodules.places import check_outside
from datamodules.plan import ValPlan
from datamodules.ranges import Fraction, Workers
from datamodules.reader import Decoding, Source
from datamodules.remote import read_manifest
from datamodules.schema import Batch
from datamodules.shard_datamodule import check_holds_images
from datamodules.stream import ShardStream
from datamodules.tokens import TokenSettings
from datamodules.transfer import mover_to
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import BatchSize, Device
from lightning_modules.inference.loading import load_stage1, weights_hash
from lightning_modules.inference.tokenise import tokenise
from models.autoencoder import TokenAutoencoder

VIEWS = 2
"""Stored of a training image: as it is, and mirrored."""


def tokens(
    checkpoint: str,
    root: str,
    out: str,
    batch_size: BatchSize = 64,
    num_workers: Workers = 0,
    min_visible: Fraction = 0.0,
    device: Device = AUTO,
) -> None:
    """Write the tokens of all images of a shard root, to train a prior over tokens without images.

    Images are cropped to their middle square; those of the training split are encoded mirrored too.
    The same command again continues after an interruption. Other weights, images, or masks and rays
    that are looked at need another `out`. An unusable image ends the command with a sentence that
    names it. Images under `min_visible` are listed in rejected.csv.

    Args:
        checkpoint: stage-1 checkpoint, e.g. runs/vq3d-shapeworld/checkpoints/best.ckpt.
        root: folder of the image shards, or its url.
        out: folder to write; it gets manifest.json and as many shards as root has.
        batch_size: images encoded at once.
        num_workers: processes that decode images; 0 decodes in this one.
        min_visible: smallest share of the object's pixels among those of the object and occluders,
            by the masks of root: what a model guessed of hidden objects is no model for a prior.
        device: where to encode; auto takes a GPU where there is one, else the CPU.
    """
    device = chosen_device(device)
    check_outside(out, [f"{root}/{split}" for split in SPLITS])
    model = load_stage1(checkpoint)
    source = read_manifest(root)
    check(source, root, model, batch_size, min_visible)
    settings = TokenSettings(
        stage1=weights_hash(model),
        source=images_hash(source),
        codes=model.codes,
        tokens=model.layout.tokens,
        views=VIEWS,
        resolution=model.resolution,
    )
    samples = ImageTokens(
        model.to(device), root, source, batch_size, num_workers, min_visible, device
    )
    counts = {split: [shard.samples for shard in found] for split, found in source.splits.items()}
    parameters = settings.parameters() | {"min_visible": min_visible} | samples.sidecar_hashes()
    written = build_shards(out, counts, samples, 1, source.classes, model.resolution, parameters)
    images = sum(written.samples(split) for split in written.splits)
    print(f"{counted(images, 'image')} of {settings.tokens} tokens in {out}")
    if hidden := sum(map(sum, counts.values())) - images:
        print(f"{counted(hidden, 'image')} under --min_visible, see {out}/{REJECTED_NAME}")


def check(
    source: Manifest, root: str, model: TokenAutoencoder, batch_size: int, min_visible: float
) -> None:
    """DataError in one sentence if the images of a root cannot be encoded."""
    check_holds_images(source, root)
    if source.resolution is not None and source.resolution < model.resolution:
        raise DataError(
            f"the model encodes {model.resolution} pixels, the images in {root} have "
            f"{source.resolution}: write larger shards, or name another checkpoint."
        )
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}, it must be at least 1.")
    if min_visible > 0 and MASK not in source.modalities:
        raise DataError(
            f"min_visible is {min_visible:g}, but {root} has no masks to tell what is visible: "
            "leave it out."
        )


@dataclass(frozen=True)
class ImageTokens:
    """Callable (split, shard index) -> the encoded tokens of that shard's images, in their order,
    without those of which less than `min_visible` is seen.

    An unusable image raises DataError: without it the tokens would come in another order than the
    images.
    """

    model: TokenAutoencoder
    root: str
    source: Manifest
    batch_size: int
    num_workers: int
    min_visible: float
    device: str

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is read of an image: rays and masks where the model or `min_visible` needs them."""
        sighted, stored = self.model.uses_sight, self.source.modalities
        wanted = {MASK: sighted or self.min_visible > 0, RAYS: sighted}
        return (RGB, *(name for name in wanted if wanted[name] and name in stored))

    def sidecar_hashes(self) -> dict[str, str]:
        """Hashes of what the tokens depend on besides the images, as parameters of a manifest."""
        sidecars = self.modalities[1:]
        return {f"source_{name}": images_hash(self.source, name) for name in sidecars}

    def __call__(self, split: str, index: int) -> Iterator[EncodedTokens | Rejected]:
        """Decode and encode one shard, batch by batch."""
        shard, codes = self.source.splits[split][index], self.model.codes
        # Batches hold what training needs of the json, the tokens get all of it.
        records = JoinedShard(self.root, split, shard, (RGB,), strict=True)
        loader = self._images(split, shard)
        try:
            found = chain.from_iterable(self._encode(batch, split == TRAIN) for batch in loader)
            for row, views in enumerate(found):
                key, record = records.record(row)
                if isinstance(views, str):
                    yield Rejected(key, views)
                else:
                    yield EncodedTokens(key, encode_tokens(views, codes), record)
        finally:
            loader.close()
            records.close()

    def _images(self, split: str, shard: ShardInfo) -> ShardLoader[Batch]:
        """The images of one shard as they are stored, cropped to the middle square."""
        view, classes = Augmentation(self.model.resolution), len(self.source.classes)
        decoder = ImageDecoder(view, rays=RAYS in self.modalities, classes=classes)
        source = Source(
            root=self.root,
            split=split,
            shards=(shard,),
            decoding=Decoding(self.modalities, decoder, collate),
            seed=0,
            on_error="error",
            open_shards=1,
        )
        plan = ValPlan(shard.samples, self.batch_size, rank=0, world=1)
        stream = ShardStream(source, StorageOrder([shard.samples]), plan)
        return ShardLoader(stream, self.num_workers, mover=mover_to(self.device))

    def _encode(self, batch: Batch, mirrored: bool) -> Iterator[np.ndarray | str]:
        """Tokens (V, T) of each image, V = 2 with those of the mirrored image, or why it is left
        out."""
        shares = [1.0] * len(batch)
        if batch.mask is not None:
            shares = [visible_share(mask) for mask in batch.mask.cpu().numpy()]
        shown = [row for row, share in enumerate(shares) if share >= self.min_visible]
        batch = batch[shown].to(self.device)
        views = [batch, batch.mirrored()] if mirrored else [batch]
        tokens = [tokenise(self.model, view).cpu() for view in views] if shown else []
        left = zip(*tokens, strict=True)
        for share in shares:
            if share >= self.min_visible:
                yield torch.stack(next(left)).numpy()
            else:
                yield f"under --min_visible {self.min_visible:g} ({share:.3f})"
