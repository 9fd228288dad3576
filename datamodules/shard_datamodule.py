"""The LightningDataModule of every data set in shards: ImageNet, shapeworld, your own folder."""

from __future__ import annotations

import logging
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.pytorch.strategies import ParallelStrategy

from datamodules.augment import Augmentation, Crop
from datamodules.errors import DataError
from datamodules.loader import ShardLoader
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK, RAYS, RGB, TRAIN, VAL
from datamodules.order import LaneOrder, Order, StorageOrder
from datamodules.plan import Plan, TrainPlan, ValPlan
from datamodules.reader import OnError, Source
from datamodules.remote import read_manifest
from datamodules.stream import ShardStream

_log = logging.getLogger(__name__)
_SPARE_SHARDS = 2
_SWITCH = {DEPTH: "depth", MASK: "mask", RAYS: "camera"}


class ShardDataModule(LightningDataModule):
    """Training and validation batches from a shard root, exact to the image when resumed.

    ``images_seen`` is the position of the run: set it as batches are trained, it is saved in the
    checkpoint and training goes on at the next image, on any number of ranks and workers.

    Args:
        root: folder of ``manifest.json``, or its url; ``{}`` in it stands for the file name.
        resolution: side of the images in pixels, at most that of the shards.
        batch_size: images per process and step.
        val_batch_size: images per process and validation step; default batch_size.
        depth: load relative disparity.
        mask: load object masks.
        camera: load cameras.
        num_workers: decoding processes per process; 0 decodes in the training process.
        lanes: places of the set that a batch mixes; constant over a run, a multiple of
            ranks x workers.
        seed: decides the order of the images and their augmentation.
        crop: where the crop window lies in the stored image.
        crop_share: side of the crop window as a share of the shorter side of the stored image.
        flip: mirror every other training image.
        on_error: stop at an unusable image, or skip it.
        max_skipped_share: largest share of skipped images before training stops.
        max_val_images: use only the first images of the validation split.
        prefetch: batches each worker decodes ahead.
    """

    def __init__(
        self,
        root: str,
        resolution: int,
        batch_size: int,
        val_batch_size: int | None = None,
        depth: bool = False,
        mask: bool = False,
        camera: bool = False,
        num_workers: int = 2,
        lanes: int = 64,
        seed: int = 0,
        crop: Crop = "center",
        crop_share: float = 1.0,
        flip: bool = True,
        on_error: OnError = "error",
        max_skipped_share: float = 0.001,
        max_val_images: int | None = None,
        prefetch: int = 2,
    ) -> None:
        super().__init__()
        # Not sent to the logger: Lightning refuses a name that the model's settings also use.
        self.save_hyperparameters(logger=False)
        self.images_seen = 0
        self._skipped = 0
        self._manifest: Manifest | None = None
        self._root = root
        self._batch_size = batch_size
        self._val_batch_size = val_batch_size or batch_size
        flags = {DEPTH: depth, MASK: mask, RAYS: camera}
        self._modalities = (RGB, *(modality for modality, wanted in flags.items() if wanted))
        self._workers = num_workers
        self._lanes = lanes
        self._seed = seed
        self._train_view = Augmentation(resolution, crop, crop_share, flip)
        self._val_view = Augmentation(resolution, "center", crop_share)
        self._on_error = on_error
        self._max_skipped_share = max_skipped_share
        self._max_val_images = max_val_images
        self._prefetch = prefetch

    @property
    def manifest(self) -> Manifest:
        """What the root holds; DataError before `setup`."""
        if self._manifest is None:
            raise DataError("the datamodule has read no manifest yet: call setup() first.")
        return self._manifest

    @property
    def skipped(self) -> int:
        """Unusable images of this rank that others replaced, since it was started or resumed."""
        return self._skipped

    def setup(self, stage: str | None = None) -> None:
        """Read the manifest and check the settings against it; DataError if they do not fit."""
        manifest = read_manifest(self._root)
        check_settings(
            manifest, self._root, self._modalities, self._train_view, self._batch_size, self._lanes
        )
        advice = lane_advice(self._lanes, self._ranks()[1], self._workers)
        if advice and self._ranks()[0] == 0:
            _log.warning(advice)
        self._manifest = manifest

    def train_dataloader(self) -> ShardLoader:
        """Loader of this rank that begins at `images_seen`."""
        shards = self.manifest.splits.get(TRAIN, ())
        if not shards:
            raise DataError(f"{self._root} has no train split, only {list(self.manifest.splits)}.")
        samples = [shard.samples for shard in shards]
        rank, world = self._ranks()
        plan = TrainPlan(sum(samples), self._batch_size, rank, world)
        order = LaneOrder(samples, self._seed, self._lanes)
        return self._loader(TRAIN, order, plan, self._train_view, self.images_seen)

    def val_dataloader(self) -> ShardLoader | list[ShardLoader]:
        """Loader of this rank over the images in stored order; [] without a val split."""
        samples = [shard.samples for shard in self.manifest.splits.get(VAL, ())]
        if not samples:
            return []
        rank, world = self._ranks()
        images = min(sum(samples), self._max_val_images or sum(samples))
        plan = ValPlan(images, self._val_batch_size, rank, world)
        return self._loader(VAL, StorageOrder(samples), plan, self._val_view, position=0)

    def state_dict(self) -> dict[str, Any]:
        """The position of the run, and the settings that give it its meaning."""
        return {"images_seen": self.images_seen, **self._order_settings()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint; DataError if its images came in another order.

        A checkpoint that is only measured may have been trained on other data.
        """
        if self.trainer is not None and self.trainer.state.fn != "fit":
            return
        saved = {name: value for name, value in state_dict.items() if name != "images_seen"}
        if saved != self._order_settings():
            raise DataError(
                f"the checkpoint was trained with {saved}, this run has {self._order_settings()}: "
                "its position has no meaning in another order, use the checkpoint's settings."
            )
        self.images_seen = int(state_dict["images_seen"])

    def _order_settings(self) -> dict[str, int]:
        images = self.manifest.samples(TRAIN)
        return {"seed": self._seed, "lanes": self._lanes, "images": images}

    def _ranks(self) -> tuple[int, int]:
        """Rank and number of ranks that take different images."""
        if self.trainer is None or not isinstance(self.trainer.strategy, ParallelStrategy):
            return 0, 1
        # Not the world size: ranks that hold parts of one model must take the same images.
        split = self.trainer.strategy.distributed_sampler_kwargs
        return int(split["rank"]), int(split["num_replicas"])

    def _loader(
        self, split: str, order: Order, plan: Plan, view: Augmentation, position: int
    ) -> ShardLoader:
        readers = plan.world * max(1, self._workers)
        lanes = self._lanes // readers if self._lanes % readers == 0 else self._lanes
        source = Source(
            root=self._root,
            split=split,
            shards=self.manifest.splits[split],
            modalities=self._modalities,
            augmentation=view,
            seed=self._seed,
            on_error=self._on_error,
            open_shards=lanes + _SPARE_SHARDS if split == TRAIN else _SPARE_SHARDS,
        )
        return ShardLoader(
            ShardStream(source, order, plan),
            self._workers,
            position,
            self._prefetch,
            pin_memory=torch.cuda.is_available(),
            max_skipped_share=self._max_skipped_share,
            on_skip=self._count_skipped,
        )

    def _count_skipped(self, images: int) -> None:
        self._skipped += images


def check_settings(
    manifest: Manifest,
    root: str,
    modalities: tuple[str, ...],
    view: Augmentation,
    batch_size: int,
    lanes: int,
) -> None:
    """DataError in one sentence if the settings ask what a shard root cannot give."""
    for modality in modalities:
        if modality not in manifest.modalities:
            has = ", ".join(manifest.modalities)
            raise DataError(
                f"{root} has {has}, no {modality}: set {_SWITCH[modality]}: false, or add the "
                f"{modality} shards (docs/shards.md)."
            )
    if manifest.resolution is not None and view.resolution > manifest.resolution:
        raise DataError(
            f"resolution {view.resolution} is larger than the {manifest.resolution} pixels of the "
            f"images in {root}: lower it, or write larger shards."
        )
    if not 0 < view.crop_share <= 1:
        raise DataError(f"crop_share is {view.crop_share}, it must be above 0 and at most 1.")
    for name, value in (
        ("resolution", view.resolution),
        ("batch_size", batch_size),
        ("lanes", lanes),
    ):
        if value < 1:
            raise DataError(f"{name} is {value}, it must be at least 1.")


def lane_advice(lanes: int, world: int, num_workers: int) -> str | None:
    """What to change if processes cannot own whole lanes, None if they can."""
    workers = max(1, num_workers)
    readers = world * workers
    if lanes % readers == 0:
        return None
    fitting = [n for n in range(1, lanes + 1) if lanes % (world * n) == 0]
    choice = f"num_workers {', '.join(map(str, fitting[:6]))}, or " if fitting else ""
    return (
        f"lanes {lanes} is no multiple of {world} ranks x {workers} workers: the order stays "
        f"exact, but several processes read the same shards; {choice}"
        f"lanes {-(-lanes // readers) * readers} (in a new run) would avoid that."
    )
