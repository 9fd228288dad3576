"""Which scenes a user wants: of photographs, of classes and seeds, or of tokens in a file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.classes import ALL, class_labels, file_part, scene_name
from lightning_modules.inference.gan_scenes import GANScenes, InvertedScenes
from lightning_modules.inference.photographs import find_images, load_square
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_makers import SceneMaker, autoencoder_of, draws_none
from lightning_modules.inference.token_files import read_tokens
from models.scenes import Scenes


@dataclass(frozen=True)
class SceneChoice:
    """Scenes of photographs, of classes and seeds, or of stored tokens.

    A GAN draws scenes of classes only; a file of `wild3d invert` holds one scene and takes none of
    these options.

    Args:
        images: photographs or folders of them, e.g. a.jpg b.jpg.
        classes: names or numbers of classes to draw, e.g. chair mug, or all, or any to leave the
            class open.
        seeds: of the scenes drawn of each class, e.g. 0,1,2; by default 0.
        tokens: what `wild3d sample` or `wild3d edit` wrote with the same stage-1 model, e.g.
            outputs/sample/tokens.npz.
        rows: numbers of scenes in that file from 0, e.g. 0,5,7; by default all.
    """

    images: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    tokens: str | None = None
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class WantedScene:
    """One scene to make. Names are distinct.

    source: a photograph, the label of a class (-1: any), or tokens (1, T); seeds: those it was or
    will be drawn with, none where nothing is.
    """

    name: str
    source: Path | int | Tensor
    seeds: tuple[int, ...] = ()


def wanted_scenes(
    maker: SceneMaker,
    choice: SceneChoice,
    options: SamplingOptions = SamplingOptions(),
) -> list[WantedScene]:
    """The scenes of a choice, in its order; options: what was said of drawing them.

    Raises:
        FileNotFoundError: there is no file of tokens where one is named.
        DataError: nothing is chosen, or in several ways, or with options that would do nothing, or
            the maker can't make what is.
    """
    ways = {"--images": choice.images, "--classes": choice.classes, "--tokens": choice.tokens}
    given = [option for option, value in ways.items() if value]
    if isinstance(maker, InvertedScenes):
        return [_stored_inversion(maker, choice, options)]
    if len(given) > 1:
        raise DataError(f"{' and '.join(given)} are given: name scenes in one of these ways only.")
    if choice.rows and not choice.tokens:
        raise DataError(f"--rows is {list(choice.rows)}: they are of --tokens, which is missing.")
    if choice.images or choice.tokens:
        drawing = {"seeds": choice.seeds} | options.given
        check_unused(drawing, f"nothing is drawn with {given[0]}")
    if choice.images:
        autoencoder_of(maker)
        return [WantedScene(path.stem, path) for path in find_images(list(choice.images))]
    if choice.tokens:
        return _stored_scenes(maker, choice.tokens, choice.rows)
    return _drawn_scenes(maker, choice, options)


def _stored_inversion(
    maker: InvertedScenes, choice: SceneChoice, options: SamplingOptions
) -> WantedScene:
    said = {name: value or None for name, value in asdict(choice).items()}
    check_unused(said | options.given, f"{maker.checkpoint} holds the one scene of a photograph")
    return WantedScene(file_part(Path(maker.checkpoint).stem), -1)


def _stored_scenes(maker: SceneMaker, path: str, rows: Sequence[int]) -> list[WantedScene]:
    found = read_tokens(path, autoencoder_of(maker), maker.checkpoint)
    count = len(found.tokens)
    for row in rows:
        if not 0 <= row < count:
            raise DataError(
                f"--rows names {row}, {path} holds {count} scenes: give numbers from 0 to "
                f"{count - 1}."
            )
    return [
        WantedScene(found.names[row], found.tokens[row : row + 1], found.drawn_with(row))
        for row in dict.fromkeys(rows or range(count))
    ]


def _drawn_scenes(
    maker: SceneMaker, choice: SceneChoice, options: SamplingOptions
) -> list[WantedScene]:
    if maker.classes is None:
        raise draws_none(maker.checkpoint)
    if maker.classes and not choice.classes:
        if isinstance(maker, GANScenes):
            raise DataError(f"{maker.checkpoint} is of a GAN: give --classes and --seeds.")
        raise DataError(
            f"{maker.checkpoint} is a prior: give --classes and --seeds, photographs with "
            "--images, or scenes with --tokens."
        )
    labels = class_labels(choice.classes or [ALL], maker.classes, maker.names)
    maker.check_options(labels, options)
    seeds = distinct_seeds((0,) if choice.seeds is None else choice.seeds)
    return [
        WantedScene(scene_name(label, seed, maker.names), label, (seed,))
        for label, seed in product(labels, seeds)
    ]


def distinct_seeds(seeds: Sequence[int]) -> list[int]:
    """Each seed once, in order; DataError if there is none or a negative one."""
    if not seeds or min(seeds) < 0:
        raise DataError(f"--seeds is {list(seeds)}: give at least one number, each at least 0.")
    return list(dict.fromkeys(seeds))


@torch.no_grad()
def make_scene(maker: SceneMaker, wanted: WantedScene, device: str) -> Scenes:
    """One scene (1) on the device, made alone."""
    match wanted.source:
        case Path() as photo:
            model = autoencoder_of(maker)
            return model.reconstruct(load_square(photo, model.resolution).to(device))
        case Tensor() as tokens:
            return autoencoder_of(maker).decode_tokens(tokens.to(device))
        case label:
            return maker.generate([label], wanted.seeds)
