"""The images of a split in stored order, as they are measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from datamodules.augment import Augmentation, Framing
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.loader import ShardLoader
from datamodules.manifest import Manifest, images_hash
from datamodules.modalities import MASK, RGB
from datamodules.order import StorageOrder
from datamodules.plan import ValPlan
from datamodules.reader import Decoding, Source
from datamodules.remote import read_manifest
from datamodules.schema import Batch
from datamodules.shard_datamodule import check_holds_images, check_image_settings
from datamodules.stream import ShardStream
from datamodules.transfer import mover_to

RESIZE = "middle square, bilinear with antialiasing where stored larger"


@dataclass(frozen=True)
class RealImages:
    """Images of a split of a shard root at a resolution, neither mirrored nor cropped at random.

    count: how many are taken, from the first. framing: how they are cut.
    """

    root: str
    manifest: Manifest
    split: str
    resolution: int
    count: int
    framing: Framing = Framing()

    @staticmethod
    def open(
        root: str,
        split: str,
        resolution: int,
        most: int | None = None,
        framing: Framing = Framing(),
    ) -> "RealImages":
        """Those of a root, at most `most`.

        Raises:
            DataError: the root has no such split, no images, or smaller ones.
        """
        manifest = read_manifest(root)
        check_holds_images(manifest, root)
        modalities, view = _framed(resolution, framing)
        check_image_settings(manifest, root, modalities, view)
        stored = manifest.samples(split)
        if stored == 0:
            raise DataError(
                f"{root} has no split {split!r}: name one of {', '.join(manifest.splits)} in "
                "--split."
            )
        if most is not None and most < 2:
            raise DataError(f"real_images is {most}, it must be at least 2.")
        count = min(stored, most or stored)
        return RealImages(root, manifest, split, resolution, count, framing)

    @property
    def images_hash(self) -> str:
        """SHA-256 in hex of the checksums in the manifest."""
        return images_hash(self.manifest)

    @property
    def masks_hash(self) -> str | None:
        """The same of the masks, None where they are not looked at."""
        return None if self.framing.background is None else images_hash(self.manifest, MASK)

    @contextmanager
    def batches(
        self, batch_size: int, num_workers: int, device: torch.device | str = "cpu"
    ) -> Iterator[ShardLoader[Batch]]:
        """A loader of the images, which is closed in the end; they may be on a GPU if it is the
        device."""
        shards = self.manifest.splits[self.split]
        modalities, view = _framed(self.resolution, self.framing)
        decoder = ImageDecoder(view, classes=len(self.manifest.classes))
        source = Source(
            root=self.root,
            split=self.split,
            shards=shards,
            decoding=Decoding(modalities, decoder, collate),
            seed=0,
            on_error="error",
            open_shards=2,
        )
        plan = ValPlan(self.count, batch_size, rank=0, world=1)
        order = StorageOrder([shard.samples for shard in shards])
        stream = ShardStream(source, order, plan)
        loader = ShardLoader(stream, num_workers, mover=mover_to(device))
        try:
            yield loader
        finally:
            loader.close()


def _framed(resolution: int, framing: Framing) -> tuple[tuple[str, ...], Augmentation]:
    """Modalities that are read of an image, and how it is cut."""
    crop_share, background = framing
    view = Augmentation(resolution, crop_share=crop_share, background=background)
    return ((RGB,) if background is None else (RGB, MASK)), view
