"""Scenes as tokens in an .npz: `sample` and `edit` write them, `video` and `mesh` show them.

    tokens  (N, T)  int32   codes of the scenes
    names   (N,)    text    of the scenes, e.g. mug-seed3
    labels  (N,)    int32   -1 any class
    seeds   (N,)    int64   -1 where nothing was drawn
    stage1  ()      text    hash of the weights that tokens stand for, see `weights_hash`
    wild3d  ()      text    what made the file, see `provenance`

Who writes such a file otherwise may leave out all but tokens and stage1.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.classes import file_part, scene_name
from datamodules.errors import DataError
from datamodules.files import load_arrays, write_atomically
from lightning_modules.inference.loading import weights_hash
from models.autoencoder import TokenAutoencoder
from renderers.mesh import NOTE_KEY

OPTION = "--tokens"


@dataclass(frozen=True)
class TokenScenes:
    """N scenes as tokens (N, T) int64, with their names, labels (-1: any) and seeds (-1: none)."""

    tokens: Tensor
    names: Sequence[str]
    labels: Sequence[int]
    seeds: Sequence[int]

    @staticmethod
    def drawn(
        tokens: Tensor, cells: Sequence[tuple[int, int]], classes: Sequence[str]
    ) -> "TokenScenes":
        """Scenes of labels and seeds, named after both; `classes` are the names of the classes."""
        names = [scene_name(label, seed, classes) for label, seed in cells]
        labels, seeds = zip(*cells, strict=True)
        return TokenScenes(tokens, names, labels, seeds)

    def drawn_with(self, row: int) -> tuple[int, ...]:
        """The seed of a scene, none where nothing was drawn."""
        return (self.seeds[row],) if self.seeds[row] >= 0 else ()


def write_tokens(path: Path, scenes: TokenScenes, model: TokenAutoencoder, note: str) -> None:
    """Write scenes of a stage-1 model, and what made them, making the folder."""
    arrays: dict[str, Any] = {
        "tokens": scenes.tokens.cpu().numpy().astype(np.int32),
        "names": np.array(scenes.names),
        "labels": np.array(scenes.labels, np.int32),
        "seeds": np.array(scenes.seeds, np.int64),
        "stage1": np.array(weights_hash(model)),
        NOTE_KEY: np.array(note),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read_tokens(path: str, model: TokenAutoencoder, checkpoint: str) -> TokenScenes:
    """Scenes of a file, on the CPU; their names are distinct and can be parts of file names.

    checkpoint: what errors call the one of the stage-1 model.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no file of tokens, or of those of another stage-1 model.
    """
    arrays = load_arrays(path, OPTION)
    stage1 = arrays.get("stage1")
    if "tokens" not in arrays or stage1 is None or stage1.ndim != 0 or stage1.dtype.kind != "U":
        raise DataError(
            f"{path} holds no tokens with the hash of their stage-1 weights: name a tokens.npz of "
            f"`wild3d sample`, or an .npz of `wild3d edit`, in {OPTION}."
        )
    _check_stage1(path, str(stage1), model, checkpoint)
    tokens = arrays["tokens"]
    _check_tokens(path, tokens, model, checkpoint)
    none = np.full(len(tokens), -1)
    names = _column(path, arrays, "names", np.full(len(tokens), Path(path).stem))
    return TokenScenes(
        torch.from_numpy(tokens.astype(np.int64)),
        distinct_names(names.tolist()),
        _column(path, arrays, "labels", none).tolist(),
        _column(path, arrays, "seeds", none).tolist(),
    )


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names as parts of file names, with the number of the row where some would be alike.

    >>> distinct_names(["mug seed0", "mug/seed0"])
    ['mug-seed0-row0', 'mug-seed0-row1']
    """
    parts = [file_part(name) or "scene" for name in names]
    if len({part.casefold() for part in parts}) == len(parts):
        return parts
    return [f"{part}-row{row}" for row, part in enumerate(parts)]


def _check_stage1(path: str, stored: str, model: TokenAutoencoder, checkpoint: str) -> None:
    actual = weights_hash(model)
    if stored != actual:
        raise DataError(
            f"{path} holds tokens of stage-1 weights {stored[:12]}, {checkpoint} decodes those of "
            f"{actual[:12]}: name the checkpoint they were made with in --checkpoint."
        )


def _check_tokens(path: str, tokens: np.ndarray, model: TokenAutoencoder, checkpoint: str) -> None:
    count = model.layout.tokens
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or 0 in tokens.shape:
        raise DataError(
            f"{path} has tokens of shape {tokens.shape} and type {tokens.dtype}: write (N, "
            f"{count}) integers, N at least 1."
        )
    if tokens.shape[1] != count:
        raise DataError(
            f"{path} has {tokens.shape[1]} tokens a scene, {checkpoint} decodes {count}: name the "
            "checkpoint they were made with in --checkpoint."
        )
    for token in (tokens.min(), tokens.max()):
        if not 0 <= token < model.codes:
            raise DataError(
                f"{path} holds token {token}, {checkpoint} has codes 0 to {model.codes - 1}: name "
                "the checkpoint they were made with in --checkpoint."
            )


def _column(path: str, arrays: dict[str, np.ndarray], name: str, missing: np.ndarray) -> np.ndarray:
    """An array (N,) of the type of `missing`, which stands in where there is none."""
    found = arrays.get(name, missing)
    if found.shape != missing.shape or found.dtype.kind != missing.dtype.kind:
        kind = "text" if missing.dtype.kind == "U" else "integers"
        raise DataError(
            f"{path} has {name} of shape {found.shape} and type {found.dtype}: write "
            f"{len(missing)} of {kind}, one a scene, or leave {name} out."
        )
    return found
