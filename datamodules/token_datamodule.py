"""The LightningDataModule of token shards, which `wild3d tokens` writes."""

from __future__ import annotations

from datamodules.collate import collate_tokens
from datamodules.errors import DataError
from datamodules.manifest import Manifest
from datamodules.modalities import TOKENS, TRAIN
from datamodules.reader import Decoding, OnError
from datamodules.schema import TokenBatch, TokenSample
from datamodules.stream_datamodule import StreamDataModule, StreamSettings
from datamodules.tokens import TokenDecoder, TokenSettings


class TokenDataModule(StreamDataModule[TokenBatch]):
    """Training and validation batches of tokens, exact to the image when resumed.

    With equal seed, lanes and batch size it gives the tokens of the images that ShardDataModule
    gives (center crop), in the same order and mirrored alike. ``images_seen`` is the position of
    the run, as there.

    Args:
        root: folder of ``manifest.json``, or its url; ``{}`` in it stands for the file name.
        batch_size: images per process and step.
        val_batch_size: images per process and validation step; default batch_size.
        flip: mirror every other training image.
        semantics: width F of the semantic feature vectors to load; 0 loads none.
        num_workers: decoding processes per process; 0 decodes in the training process.
        lanes: streams interleaved into each batch; constant over a run, a multiple of
            ranks x workers.
        seed: decides the order of the images and which are mirrored.
        on_error: stop at an unusable image, or skip it.
        max_skipped_share: largest share of skipped images before training stops.
        max_val_images: use only the first images of the validation split.
        prefetch: batches each worker decodes ahead.
    """

    def __init__(
        self,
        root: str,
        batch_size: int,
        val_batch_size: int | None = None,
        flip: bool = True,
        semantics: int = 0,
        num_workers: int = 0,
        lanes: int = 64,
        seed: int = 0,
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
        self._flip = flip

    @property
    def token_settings(self) -> TokenSettings:
        """Settings of the root's tokens; DataError before `setup`."""
        return TokenSettings.of(self.manifest, self._settings.root)

    @property
    def stage1_hash(self) -> str:
        """Hash of the stage-1 weights that made the tokens; DataError before `setup`."""
        return self.token_settings.stage1

    def check(self, manifest: Manifest) -> None:
        """DataError in one sentence if the settings ask what the root cannot give."""
        root = self._settings.root
        if TOKENS not in manifest.modalities:
            raise DataError(
                f"{root} holds images, not tokens: load it with "
                "datamodules.shard_datamodule.ShardDataModule, or write tokens with "
                "`wild3d tokens`."
            )
        views = TokenSettings.of(manifest, root).views
        if self._flip and views < 2:
            raise DataError(
                f"{root} holds no tokens of mirrored images: set flip: false, or write them with "
                "`wild3d tokens`."
            )

    def decoding(self, split: str) -> Decoding[TokenSample, TokenBatch]:
        """Decoding of the shards of a split, mirrored in training only."""
        tokens, training = self.token_settings, split == TRAIN
        decoder = TokenDecoder(
            tokens=tokens.tokens,
            codes=tokens.codes,
            views=tokens.views if training else 1,
            flip=self._flip and training,
            semantics=self._settings.semantics,
            classes=len(self.manifest.classes),
        )
        return Decoding((TOKENS,), decoder, collate_tokens)
