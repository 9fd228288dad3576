"""Base of the datamodules of images and of tokens: the order, the ranks, the position."""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, get_args

import torch
from lightning import LightningDataModule
from lightning.pytorch.strategies import ParallelStrategy

from datamodules.errors import DataError, check_number
from datamodules.json_values import shown
from datamodules.loader import ShardLoader
from datamodules.manifest import Manifest
from datamodules.modalities import TRAIN, VAL
from datamodules.order import LaneOrder, Order, StorageOrder
from datamodules.plan import Plan, TrainPlan, ValPlan
from datamodules.reader import Decoding, OnError, Source
from datamodules.remote import read_manifest
from datamodules.schema import BatchT
from datamodules.stream import ShardStream
from datamodules.transfer import mover_to

_log = logging.getLogger(__name__)
_SPARE_SHARDS = 2
_RANGES = {
    "batch_size": (1, 100_000),
    "val_batch_size": (1, 100_000),
    "semantics": (0, 100_000),
    "num_workers": (0, 1_000),
    "lanes": (1, 100_000),
    "seed": (0, 2**32 - 1),
    "max_skipped_share": (0, 1),
    "max_val_images": (1, 2**62),
    "prefetch": (1, 1_000),
}
_OPTIONAL = ("val_batch_size", "max_val_images")


@dataclass(frozen=True)
class StreamSettings:
    """The arguments that every datamodule has, as its class documents them.

    Raises DataError for one that is out of range.
    """

    root: str
    batch_size: int
    val_batch_size: int | None
    semantics: int
    num_workers: int
    lanes: int
    seed: int
    on_error: OnError
    max_skipped_share: float
    max_val_images: int | None
    prefetch: int

    def __post_init__(self) -> None:
        if not isinstance(self.root, str) or not self.root or "\0" in self.root:
            raise DataError(f"root is {self.root!r}, it must be a folder, a url or a command.")
        if self.on_error not in get_args(OnError):
            raise DataError(f"on_error is {self.on_error!r}, it must be error or skip.")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            check_number(name, value, low, high)
            if isinstance(value, float) and name != "max_skipped_share":
                raise DataError(f"{name} is {value!r}, it must be an integer.")


class StreamDataModule(LightningDataModule, Generic[BatchT]):
    """Batches from a shard root, exact to the image when resumed; subclasses decode them.

    ``images_seen`` is the position of the run: set it as batches are trained, it is saved in the
    checkpoint and training goes on at the next image, on any number of ranks and workers.
    """

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__()
        self.images_seen = 0
        self._skipped = 0
        self._manifest: Manifest | None = None
        self._settings = settings

    @abstractmethod
    def check(self, manifest: Manifest) -> None:
        """DataError in one sentence if the settings ask what the root cannot give."""

    @abstractmethod
    def decoding(self, split: str) -> Decoding[Any, BatchT]:
        """Decoding of the shards of a split."""

    @property
    def manifest(self) -> Manifest:
        """Manifest of the root; DataError before `setup`."""
        if self._manifest is None:
            raise DataError("the datamodule has read no manifest yet: call setup() first.")
        return self._manifest

    @property
    def root(self) -> str:
        """Folder or url of the shards."""
        return self._settings.root

    @property
    def num_workers(self) -> int:
        """Processes that decode for each process of the run."""
        return self._settings.num_workers

    @property
    def semantics(self) -> int:
        """Width of the semantic feature vectors in its batches, 0 for none."""
        return self._settings.semantics

    @property
    def skipped(self) -> int:
        """Unusable images of this rank that others replaced, since it was started or resumed."""
        return self._skipped

    def setup(self, stage: str | None = None) -> None:
        """Read the manifest and check the settings against it; DataError if they do not fit."""
        settings = self._settings
        manifest = read_manifest(settings.root)
        self.check(manifest)
        advice = lane_advice(settings.lanes, self._ranks()[1], settings.num_workers)
        if advice and self._ranks()[0] == 0:
            _log.warning(advice)
        self._manifest = manifest

    def train_dataloader(self) -> ShardLoader[BatchT]:
        """Loader of this rank that begins at `images_seen`."""
        settings = self._settings
        samples = [shard.samples for shard in self.manifest.splits.get(TRAIN, ())]
        if not samples:
            has = ", ".join(name for name, shards in self.manifest.splits.items() if shards)
            raise DataError(
                f"{settings.root} has no images to train on, only {has or 'empty splits'}: write "
                "shards with a train split, or correct `root`."
            )
        rank, world = self._ranks()
        plan = TrainPlan(sum(samples), settings.batch_size, rank, world)
        order = LaneOrder(samples, settings.seed, settings.lanes)
        return self._loader(TRAIN, order, plan, self.images_seen)

    def val_dataloader(self) -> ShardLoader[BatchT] | list[ShardLoader[BatchT]]:
        """Loader of this rank over the images in stored order; [] without a val split."""
        samples = [shard.samples for shard in self.manifest.splits.get(VAL, ())]
        if not samples:
            return []
        settings = self._settings
        rank, world = self._ranks()
        images = min(sum(samples), settings.max_val_images or sum(samples))
        plan = ValPlan(images, settings.val_batch_size or settings.batch_size, rank, world)
        return self._loader(VAL, StorageOrder(samples), plan, position=0)

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
        seen = state_dict.get("images_seen")
        if not isinstance(seen, int) or not 0 <= seen < 2**62:
            raise DataError(
                f"the checkpoint has images_seen {shown(seen)}, expected a count of images: it is "
                "damaged, use another one."
            )
        self.images_seen = seen

    def _order_settings(self) -> dict[str, int]:
        images = self.manifest.samples(TRAIN)
        return {"seed": self._settings.seed, "lanes": self._settings.lanes, "images": images}

    def _ranks(self) -> tuple[int, int]:
        """Rank and number of ranks that take different images."""
        if self.trainer is None or not isinstance(self.trainer.strategy, ParallelStrategy):
            return 0, 1
        # Not the world size: ranks that hold parts of one model must take the same images.
        split = self.trainer.strategy.distributed_sampler_kwargs
        return int(split["rank"]), int(split["num_replicas"])

    def _device(self) -> torch.device:
        """Where the run computes."""
        if self.trainer is None:
            return torch.device("cpu")
        device: torch.device = self.trainer.strategy.root_device
        return device

    def _loader(self, split: str, order: Order, plan: Plan, position: int) -> ShardLoader[BatchT]:
        settings = self._settings
        readers = plan.world * max(1, settings.num_workers)
        lanes = settings.lanes // readers if settings.lanes % readers == 0 else settings.lanes
        source = Source(
            root=settings.root,
            split=split,
            shards=self.manifest.splits[split],
            decoding=self.decoding(split),
            seed=settings.seed,
            on_error=settings.on_error,
            open_shards=lanes + _SPARE_SHARDS if split == TRAIN else _SPARE_SHARDS,
        )
        return ShardLoader(
            ShardStream(source, order, plan),
            settings.num_workers,
            position,
            settings.prefetch,
            mover=mover_to(self._device()),
            max_skipped_share=settings.max_skipped_share,
            on_skip=self._count_skipped,
        )

    def _count_skipped(self, images: int) -> None:
        self._skipped += images


def lane_advice(lanes: int, world: int, num_workers: int) -> str | None:
    """Advice on numbers with which processes own whole lanes, None if they do."""
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
