"""Assets of layouts, made into scenes by whatever a checkpoint holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from datamodules.classes import class_label
from datamodules.errors import DataError, check_number
from lightning_modules.inference.encoded_photographs import photo_tokens, scene_between
from lightning_modules.inference.layout import (
    Asset,
    Between,
    Drawn,
    FromPhoto,
    FromTokens,
    Layout,
)
from lightning_modules.inference.photographs import load_photograph
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_maker import SceneDrawer, SceneMaker
from lightning_modules.inference.token_files import read_tokens
from models.composition import Composition, PlacedObject
from models.scenes import Scenes

Opener = Callable[[SamplingOptions], SceneMaker]
"""Opens the maker of a checkpoint that draws as options say."""


@dataclass(frozen=True)
class MadeAsset:
    """The scene (1) of an asset, its tokens (1, T) where it has some, and the seeds it was drawn
    with."""

    scene: Scenes
    tokens: Tensor | None = None
    seeds: tuple[int, ...] = ()


def composed(layout: Layout, made: Mapping[str, MadeAsset]) -> Composition:
    """The scene of a layout's assets, whose sizes are printed first: who has to move boxes apart
    needs to know them.

    Raises:
        DataError: two boxes meet, or an asset has no box.
    """
    try:
        objects = [
            PlacedObject(asset.name, made[asset.name].scene, asset.stand.placement)
            for asset in layout.shown
        ]
        for one in objects:
            length, height, width = one.sides
            print(f"{one.name}: {length:.3g} long, {height:.3g} high, {width:.3g} wide")
        return Composition(objects)
    except ValueError as error:
        raise DataError(f"{error}.") from error


@torch.no_grad()
def make_assets(
    layout: Layout, opener: Opener, sampling: SamplingOptions, device: torch.device | str
) -> dict[str, MadeAsset]:
    """What a layout's scene needs, by name; each asset is made as if it were alone.

    The checkpoint is opened once for each set of options that assets are drawn with, one after the
    other, so that it is in memory once.

    Args:
        sampling: options of drawing where the layout says nothing else.

    Raises:
        FileNotFoundError, DataError: the checkpoint can't make an asset, which is named.
    """
    made: dict[str, MadeAsset] = {}
    maker: SceneMaker | None = None
    for options, assets in _groups(layout, sampling).items():
        with _naming(assets[0]) if assets else nullcontext():
            maker = None  # before the next is opened
            maker = opener(options)
        if not made:  # first what is quick, and may not be readable
            made |= _given(maker, layout.needed, device)
        if assets:
            made |= _drawn(maker.drawer(), assets)
    assert maker is not None
    for asset in layout.needed:
        with _naming(asset):
            if isinstance(asset.source, Between):
                made[asset.name] = _between(maker, asset.source, made)
    return made


def _groups(layout: Layout, sampling: SamplingOptions) -> dict[SamplingOptions, list[Asset]]:
    """What is drawn, by its options; if nothing is, an empty group, for the rest.

    Raises:
        DataError: options of the command would do nothing.
    """
    groups: dict[SamplingOptions, list[Asset]] = {}
    for asset in layout.needed:
        if isinstance(asset.source, Drawn):
            options = replace(sampling, **asset.source.options.given)
            groups.setdefault(options, []).append(asset)
    if not groups:
        check_unused(sampling.given, "no asset of the layout is drawn")
    return groups or {sampling: []}


def _drawn(drawer: SceneDrawer, assets: Sequence[Asset]) -> dict[str, MadeAsset]:
    """Assets of a class and a seed; what can't be drawn is told before anything is."""
    cells = {}
    for asset in assets:
        assert isinstance(asset.source, Drawn)
        with _naming(asset):
            cells[asset.name] = _label(drawer, asset.source.label), asset.source.seed
    made = {}
    for name, (label, seed) in cells.items():
        # One at a time: in a batch, rounding would change an asset with its neighbours.
        drawn = drawer.draw([(label, seed)])
        tokens = None if drawn.tokens is None else drawn.tokens.tokens
        made[name] = MadeAsset(drawn.scene_at(0), tokens, (seed,))
    return made


def _label(drawer: SceneDrawer, name: str | None) -> int:
    if name is None and drawer.classes:
        raise DataError(f"{drawer.checkpoint} draws scenes of classes: name one under class.")
    label = -1 if name is None else class_label(name, drawer.classes, drawer.names)
    drawer.check_labels([label])
    return label


def _given(
    maker: SceneMaker, assets: Sequence[Asset], device: torch.device | str
) -> dict[str, MadeAsset]:
    """Those of some assets that come from photographs or stored tokens."""
    made = {}
    for asset in assets:
        with _naming(asset):
            if isinstance(asset.source, FromPhoto | FromTokens):
                made[asset.name] = _of_file(maker, asset.source, device)
    return made


def _of_file(
    maker: SceneMaker, source: FromPhoto | FromTokens, device: torch.device | str
) -> MadeAsset:
    """The asset of a photograph or of stored tokens."""
    model = maker.autoencoder
    if isinstance(source, FromPhoto):
        photo = load_photograph(Path(source.image), model.resolution, device)
        tokens = photo_tokens(model, photo)
        return MadeAsset(model.decode_tokens(tokens).in_boxes(photo.sight.size), tokens, ())
    found = read_tokens(source.tokens, model, maker.checkpoint)
    check_number(f"row of {source.tokens}", source.row, 0, len(found.tokens) - 1)
    tokens = found.tokens[source.row : source.row + 1].to(device)
    return MadeAsset(model.decode_tokens(tokens), tokens, found.drawn_with(source.row))


def _between(maker: SceneMaker, source: Between, made: Mapping[str, MadeAsset]) -> MadeAsset:
    """An asset whose codes are on the way from those of one to those of another."""
    model = maker.autoencoder
    first, second = (made[name] for name in source.between)
    assert first.tokens is not None  # as there is a stage-1 model
    assert second.tokens is not None
    tokens, ends = (first.tokens, second.tokens), (first.scene, second.scene)
    scene = scene_between(model, tokens, ends, source.share)
    return MadeAsset(scene, None, (*first.seeds, *second.seeds))


@contextmanager
def _naming(asset: Asset) -> Iterator[None]:
    """Say which asset a DataError of the block is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"asset {asset.name}: {error}") from error
