"""Scenes as users choose them: of photographs, of classes and seeds, or of tokens in a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from datamodules.errors import DataError, Failures, check_number, counted
from datamodules.ranges import Range
from lightning_modules.inference.encoded_photographs import (
    photo_scene,
    photo_tokens,
    scene_between,
)
from lightning_modules.inference.limits import MOST_SEED, DrawnSeed
from lightning_modules.inference.photographs import Photograph, find_images, load_photograph
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.token_files import read_tokens
from models.autoencoder import TokenAutoencoder
from models.scenes import Scenes


@dataclass(frozen=True)
class SceneChoice:
    """Scenes of photographs, of classes and seeds, or of stored tokens.

    A GAN draws scenes of classes only; a file of `wild3d invert` holds one scene and takes none of
    these options.

    Args:
        images: photographs or folders of them, e.g. a.jpg b.jpg; ROOT/KEY is one in shards.
        classes: names or numbers of classes to draw, e.g. chair mug, or all, or any to leave the
            class unknown.
        seeds: of the scenes drawn of each class, e.g. 0,1,2; by default 0.
        tokens: what `wild3d sample` or `wild3d edit` wrote with the same stage-1 model, e.g.
            outputs/sample/tokens.npz.
        rows: numbers of scenes in that file from 0, e.g. 0,5,7; by default all.
    """

    images: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    seeds: tuple[DrawnSeed, ...] | None = None
    tokens: str | None = None
    rows: tuple[Annotated[int, Range(0, 2**31 - 1)], ...] = ()

    def check(self, options: SamplingOptions) -> None:
        """Refuse a choice in several ways, and options that would do nothing.

        Raises:
            DataError: one sentence with what was given.
        """
        ways = {"--images": self.images, "--classes": self.classes, "--tokens": self.tokens}
        given = [option for option, value in ways.items() if value]
        if len(given) > 1:
            raise DataError(
                f"{' and '.join(given)} are given: name scenes in one of these ways only."
            )
        if self.rows and not self.tokens:
            rows = " ".join(map(str, self.rows))
            raise DataError(f"--rows is {rows}: they are of --tokens, which is missing.")
        if self.images or self.tokens:
            drawing = {"seeds": self.seeds} | options.given
            check_unused(drawing, f"nothing is drawn with {given[0]}")


@dataclass(frozen=True)
class WantedScene:
    """One scene to make. Names are distinct.

    make: makes the scene (1), alone; seeds: those it was or will be drawn with, none where nothing
    is.
    """

    name: str
    make: Callable[[], Scenes]
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Passage:
    """The scenes between two.

    names: of both ends; scene_at: makes the scene (1) at a share of the way; seeds: those the ends
    were drawn with, none where nothing is.
    """

    names: tuple[str, str]
    scene_at: Callable[[float], Scenes]
    seeds: tuple[int, ...] = ()


def photo_scenes(model: TokenAutoencoder, images: Sequence[str]) -> list[WantedScene]:
    """Scenes of photographs, each reconstructed when it is made."""
    return [
        WantedScene(path.stem, partial(_reconstructed, model, path))
        for path in find_images(list(images))
    ]


def stored_scenes(
    model: TokenAutoencoder, checkpoint: str, path: str, rows: Sequence[int]
) -> list[WantedScene]:
    """Scenes of tokens in a file, those of `rows` or all.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: see `read_tokens`, or a row is none of the file's.
    """
    found = read_tokens(path, model, checkpoint)
    count = len(found.tokens)
    for row in rows:
        if not 0 <= row < count:
            raise DataError(
                f"--rows names {row}, {path} holds {count} scenes: give numbers from 0 to "
                f"{count - 1}."
            )
    return [
        WantedScene(
            found.names[row],
            partial(_decoded, model, found.tokens[row : row + 1]),
            found.drawn_with(row),
        )
        for row in dict.fromkeys(rows or range(count))
    ]


def photos_passage(model: TokenAutoencoder, images: Sequence[str]) -> Passage:
    """The passage between two photographs: the code of every token moves to its goal.

    Raises:
        DataError: there are not two, or one can't be read: each is named.
    """
    paths = find_images(list(images))
    if len(paths) != 2:
        given = counted(len(paths), "photograph")
        raise DataError(f"--images names {given}, interpolation is between 2.")
    photos, failures = [], Failures(1)
    for path in paths:
        with failures.kept():
            photos.append(_photograph(model, path))
    failures.tell()
    first, second = photos
    tokens = photo_tokens(model, first), photo_tokens(model, second)
    ends = photo_scene(model, first), photo_scene(model, second)
    return Passage(
        (paths[0].stem, paths[1].stem), lambda share: scene_between(model, tokens, ends, share)
    )


def _reconstructed(model: TokenAutoencoder, path: Path) -> Scenes:
    return photo_scene(model, _photograph(model, path))


@torch.no_grad()
def _decoded(model: TokenAutoencoder, tokens: Tensor) -> Scenes:
    return model.decode_tokens(tokens.to(_device(model)))


def _photograph(model: TokenAutoencoder, path: Path) -> Photograph:
    return load_photograph(path, model.resolution, _device(model))


def _device(model: TokenAutoencoder) -> torch.device:
    return next(model.parameters()).device


def distinct_seeds(seeds: Sequence[int]) -> list[int]:
    """Each seed once, in order; DataError if there is none or a negative one."""
    if not seeds:
        raise DataError("--seeds is empty: give at least one number.")
    for seed in seeds:
        check_number("--seeds", seed, 0, MOST_SEED)
    return list(dict.fromkeys(seeds))
