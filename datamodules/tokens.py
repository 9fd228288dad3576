"""Token shards: settings in their manifest, decoding of their samples."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass

import numpy as np

from datamodules.augment import Draw
from datamodules.errors import DataError
from datamodules.join import RawSample
from datamodules.json_values import as_integer, as_text
from datamodules.manifest import MAX_RESOLUTION, Manifest, Parameter
from datamodules.modalities import TOKENS, TOKENS_EXTENSION
from datamodules.numpy_bytes import read_npy
from datamodules.sample_record import read_label, read_semantics, read_size, read_time_of_day
from datamodules.schema import TokenSample


@dataclass(frozen=True)
class TokenSettings:
    """Parameters in the manifest of token shards.

    stage1      hash of the stage-1 weights that made the tokens
    source      SHA-256 of the checksums of the image shards
    codes       size K of the codebook: tokens are below it
    tokens      T, tokens of an image
    views       V of the train split: 2 where the mirrored images are there too, else 1
    resolution  side of the encoded images in pixels
    """

    stage1: str
    source: str
    codes: int
    tokens: int
    views: int
    resolution: int

    def parameters(self) -> dict[str, Parameter]:
        """As manifest parameters."""
        return {"tool": TOKENS, **asdict(self)}

    @staticmethod
    def of(manifest: Manifest, root: str) -> TokenSettings:
        """Those of a token root; DataError if it lacks one."""
        found = manifest.parameters
        try:
            return TokenSettings(
                stage1=as_text(found["stage1"], "stage1"),
                source=as_text(found["source"], "source"),
                codes=as_integer(found["codes"], "codes", 1, 2**32),
                tokens=as_integer(found["tokens"], "tokens", 1, 2**24),
                views=as_integer(found["views"], "views", 1, 2),
                resolution=as_integer(found["resolution"], "resolution", 1, MAX_RESOLUTION),
            )
        except (KeyError, ValueError) as error:
            raise DataError(
                f"the manifest of {root} does not describe its tokens ({error}): write them with "
                "`wild3d tokens`."
            ) from error


@dataclass(frozen=True)
class TokenDecoder:
    """Callable (raw, draw) -> `TokenSample`, the decoder of token shards.

    tokens     T, tokens of an image
    codes      all tokens are below it
    views      V stored of each image
    flip       take the mirrored image wherever image shards would mirror it
    semantics  width of the semantic feature vectors to read, 0 reads none
    classes    labels are below it, 0 takes any
    """

    tokens: int
    codes: int
    views: int
    flip: bool
    semantics: int = 0
    classes: int = 0

    def __call__(self, raw: RawSample, draw: Draw) -> TokenSample:
        """Pick the tokens of one view; ValueError with the reason when they are unusable."""
        views = self._views(raw)
        return TokenSample(
            key=raw.key,
            tokens=views[int(self.flip and draw.flip)].astype(np.int64),
            label=read_label(raw.record, self.classes),
            size=read_size(raw.record),
            time_of_day=read_time_of_day(raw.record),
            semantics=read_semantics(raw.record, self.semantics),
        )

    def _views(self, raw: RawSample) -> np.ndarray:
        """Tokens (V, T) as they are stored."""
        if raw.extension != TOKENS_EXTENSION:
            raise ValueError(f"its file type {raw.extension!r} is not {TOKENS_EXTENSION}")
        views = read_npy(io.BytesIO(raw.payload), "its tokens", len(raw.payload))
        if views.dtype.kind != "u" or views.shape != (self.views, self.tokens):
            raise ValueError(
                f"its tokens are {views.shape} {views.dtype}, expected ({self.views}, "
                f"{self.tokens}) unsigned integers"
            )
        if views.max() >= self.codes:
            raise ValueError(f"it has token {views.max()}, the codebook {self.codes} codes")
        return views
