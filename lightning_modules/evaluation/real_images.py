"""The images of a split in stored order, as they are measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from datamodules.augment import Augmentation
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.loader import ShardLoader
from datamodules.manifest import Manifest
from datamodules.modalities import MASK, RGB
from datamodules.order import StorageOrder
from datamodules.plan import ValPlan
from datamodules.reader import Decoding, Source
from datamodules.remote import read_manifest
from datamodules.schema import Batch
from datamodules.shard_datamodule import check_holds_images, check_image_settings
from datamodules.stream import ShardStream
from lightning_modules.tools.tokens import images_hash

RESIZE = "middle square, bilinear with antialiasing where stored larger"


@dataclass(frozen=True)
class RealImages:
    """Images of a split of a shard root at a resolution, neither mirrored nor cropped at random.

    count: how many are taken, from the first. background: grey level in [0, 1] to show around the
    objects, by their masks; None leaves the photographs as they are.
    """

    root: str
    manifest: Manifest
    split: str
    resolution: int
    count: int
    background: float | None = None

    @staticmethod
    def open(
        root: str,
        split: str,
        resolution: int,
        most: int | None = None,
        background: float | None = None,
    ) -> "RealImages":
        """Those of a root, at most `most`.

        Raises:
            DataError: the root has no such split, no images, or smaller ones.
        """
        manifest = read_manifest(root)
        check_holds_images(manifest, root)
        view = Augmentation(resolution, background=background)
        check_image_settings(manifest, root, _modalities(background), view)
        stored = manifest.samples(split)
        if stored == 0:
            raise DataError(
                f"{root} has no split {split!r}: name one of {', '.join(manifest.splits)} in "
                "--split."
            )
        if most is not None and most < 2:
            raise DataError(f"real_images is {most}, it must be at least 2.")
        count = min(stored, most or stored)
        return RealImages(root, manifest, split, resolution, count, background)

    @property
    def images_hash(self) -> str:
        """SHA-256 in hex of the checksums in the manifest."""
        return images_hash(self.manifest)

    @contextmanager
    def batches(self, batch_size: int, num_workers: int) -> Iterator[ShardLoader[Batch]]:
        """A loader of the images, which is closed in the end."""
        shards = self.manifest.splits[self.split]
        decoder = ImageDecoder(Augmentation(self.resolution, background=self.background))
        source = Source(
            root=self.root,
            split=self.split,
            shards=shards,
            decoding=Decoding(_modalities(self.background), decoder, collate),
            seed=0,
            on_error="error",
            open_shards=2,
        )
        plan = ValPlan(self.count, batch_size, rank=0, world=1)
        order = StorageOrder([shard.samples for shard in shards])
        loader = ShardLoader(ShardStream(source, order, plan), num_workers)
        try:
            yield loader
        finally:
            loader.close()


def _modalities(background: float | None) -> tuple[str, ...]:
    return (RGB,) if background is None else (RGB, MASK)
