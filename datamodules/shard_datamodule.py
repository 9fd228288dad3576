"""The LightningDataModule of every data set in shards: ImageNet, shapeworld, your own folder."""

from __future__ import annotations

from datamodules.augment import Augmentation, Crop, Framing
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.manifest import Manifest
from datamodules.modalities import DEPTH, MASK, RAYS, RGB, TOKENS, TRAIN
from datamodules.reader import Decoding, OnError
from datamodules.schema import Batch, Sample
from datamodules.stream_datamodule import StreamDataModule, StreamSettings

_OFF = {DEPTH: "depth: false", MASK: "mask: false", RAYS: "camera: false and rays: false"}


class ShardDataModule(StreamDataModule[Batch]):
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
        camera: load pinhole cameras; the shards must hold them for every image.
        rays: load the rays of all pixels, or compute them where the shards hold a pinhole camera.
        semantics: width F of the semantic feature vectors to load; 0 loads none.
        num_workers: decoding processes per process; 0 decodes in the training process.
        lanes: streams interleaved into each batch; constant over a run, a multiple of
            ranks x workers.
        seed: decides the order of the images and their augmentation.
        crop: where the crop window lies in the stored image.
        crop_share: side of the crop window as a share of the shorter side of the stored image.
        flip: mirror every other training image.
        background: grey level in [0, 1] to show around the objects, which needs their masks; null
            leaves the photographs as they are.
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
        rays: bool = False,
        semantics: int = 0,
        num_workers: int = 2,
        lanes: int = 64,
        seed: int = 0,
        crop: Crop = "center",
        crop_share: float = 1.0,
        flip: bool = True,
        background: float | None = None,
        on_error: OnError = "error",
        max_skipped_share: float = 0.001,
        max_val_images: int | None = None,
        prefetch: int = 2,
    ) -> None:
        super().__init__(
            StreamSettings(
                root,
                batch_size,
                val_batch_size,
                semantics,
                num_workers,
                lanes,
                seed,
                on_error,
                max_skipped_share,
                max_val_images,
                prefetch,
            )
        )
        # Not sent to the logger: Lightning refuses a name that the model's settings also use.
        self.save_hyperparameters(logger=False)
        flags = {DEPTH: depth, MASK: mask or background is not None, RAYS: camera or rays}
        self._modalities = (RGB, *(modality for modality, wanted in flags.items() if wanted))
        self._camera, self._rays = camera, rays
        self._train_view = Augmentation(resolution, crop, crop_share, flip, background)
        self._val_view = Augmentation(resolution, "center", crop_share, background=background)

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self._train_view.resolution

    @property
    def batch_size(self) -> int:
        """Images that a process trains on at a time."""
        return self._settings.batch_size

    @property
    def framing(self) -> Framing:
        """Framing of validation images, and of training images with `crop: center`."""
        return Framing(self._val_view.crop_share, self._val_view.background)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that are loaded of every image, RGB first."""
        return self._modalities

    def check(self, manifest: Manifest) -> None:
        """DataError in one sentence if the settings ask what the root cannot give."""
        root = self._settings.root
        check_holds_images(manifest, root)
        check_image_settings(manifest, root, self._modalities, self._train_view)

    def decoding(self, split: str) -> Decoding[Sample, Batch]:
        """Decoding of the shards of a split, augmented in training only."""
        view = self._train_view if split == TRAIN else self._val_view
        semantics, classes = self._settings.semantics, len(self.manifest.classes)
        decoder = ImageDecoder(view, semantics, self._camera, self._rays, classes)
        return Decoding(self._modalities, decoder, collate)


def check_holds_images(manifest: Manifest, root: str) -> None:
    """DataError if a root holds tokens."""
    if TOKENS in manifest.modalities:
        raise DataError(
            f"{root} holds tokens, not images: load it with "
            "datamodules.token_datamodule.TokenDataModule, or name the root of the images."
        )


def check_image_settings(
    manifest: Manifest,
    root: str,
    modalities: tuple[str, ...],
    view: Augmentation,
) -> None:
    """DataError in one sentence if the settings ask what a shard root cannot give."""
    for modality in modalities:
        if modality not in manifest.modalities:
            has = ", ".join(manifest.modalities)
            isolated = modality == MASK and view.background is not None
            switch = "background: null" if isolated else _OFF[modality]
            switch += " (wild3d evaluate: `--background photo`)" if isolated else ""
            raise DataError(
                f"{root} has {has}, no {modality}: set {switch}, or add the {modality} shards "
                "(docs/shards.md)."
            )
    if manifest.resolution is not None and view.resolution > manifest.resolution:
        raise DataError(
            f"resolution {view.resolution} is larger than the {manifest.resolution} pixels of the "
            f"images in {root}: lower it, or write larger shards."
        )
