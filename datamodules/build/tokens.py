"""The sample of a token shard, as the writer takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datamodules.build.writer import record_member
from datamodules.modalities import TOKENS, TOKENS_EXTENSION


@dataclass(frozen=True)
class EncodedTokens:
    """The tokens of one image (see `datamodules.build.encode.encode_tokens`) and its labels.

    key, json_record  those of the image
    """

    key: str
    tokens_npy: bytes
    json_record: Mapping[str, Any]

    def modalities(self) -> tuple[str, ...]:
        """Tokens, in a tar of their own."""
        return (TOKENS,)

    def members(self, modality: str) -> tuple[tuple[str, bytes], ...]:
        """File names and contents of this sample."""
        tokens = f"{self.key}.{TOKENS_EXTENSION}", self.tokens_npy
        return tokens, record_member(self.key, self.json_record)
