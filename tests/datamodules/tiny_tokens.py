"""Token roots beside `tiny_root`, whose tokens tell image and view."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tiny_shards import SIDE, SIZES, number_of

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_tokens
from datamodules.build.writer import EncodedTokens
from datamodules.manifest import Manifest
from datamodules.tokens import TokenSettings

CODES, TOKENS = 200, 3


def tiny_token_root(
    root: Path, train: Sequence[int] = SIZES, val: Sequence[int] = (4, 3), views: int = 2
) -> Manifest:
    """Tokens (number, view, 0) of the images of `tiny_root`."""
    splits = {"train": train, "val": val}

    def samples(split: str, shard: int):
        for row in range(splits[split][shard]):
            number = number_of(split, shard, row)
            stored = [[number, view, 0] for view in range(views if split == "train" else 1)]
            yield encoded(number, np.array(stored))

    settings = TokenSettings("feed", "beef", CODES, TOKENS, views, SIDE)
    return build_shards(root, splits, samples, 1, list("abcd"), SIDE, settings.parameters())


def encoded(number: int, views: np.ndarray) -> EncodedTokens:
    record = {"label": number % 4, "time_of_day": "night", "semantics": [number, 0.5]}
    return EncodedTokens(f"k{number:03d}", encode_tokens(views, CODES), record)
