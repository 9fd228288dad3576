"""Layouts as YAML files: each key known, each number in its range, each file there."""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from datamodules.errors import DataError, check_number
from datamodules.json_values import shown
from datamodules.ranges import check_limits
from datamodules.settings_files import read_settings
from lightning_modules.inference.layout import (
    Asset,
    Between,
    Drawn,
    FromPhoto,
    FromTokens,
    Layout,
    LayoutCamera,
    Source,
    Stand,
)
from lightning_modules.inference.photographs import in_shards
from lightning_modules.inference.sampling_options import SamplingOptions
from models.stored import as_type, told

OPTION = "--layout"
MOST_ASSETS = 256
LONGEST_NAME = 100

Read = TypeVar("Read")


def _keys(of: type) -> list[str]:
    return [field.name for field in fields(of)]


PARTS = _keys(Layout)
CLASS = "class"
"""Key of an asset for `Drawn.label`."""
DRAWING = [CLASS, "seed", *_keys(SamplingOptions)]
SOURCES: Mapping[str, Sequence[str]] = {
    CLASS: DRAWING,
    "image": _keys(FromPhoto),
    "tokens": _keys(FromTokens),
    "between": _keys(Between),
}
"""What an asset may come from, and the keys that say so."""


def read_layout(path: str) -> Layout:
    """The layout in a YAML file; paths in it are relative to its folder.

    Raises:
        DataError: it is no readable YAML mapping, see `read_settings`; or one sentence with the
            first key of it that is unknown, missing, of another type or outside its range, names no
            file, or an asset that there is not.
    """
    found, folder = read_settings(path, OPTION), Path(path).parent
    try:
        return _layout(found, folder)
    except (DataError, ValueError) as error:
        sentence = str(error)
        end = "" if sentence.endswith((".", "?")) else "."
        raise DataError(f"{path}: {sentence}{end}") from error


def _layout(found: Mapping[str, Any], folder: Path) -> Layout:
    _check_keys(found, PARTS, "the layout")
    given = _mapping(found.get("assets"), "assets")
    if not given:
        raise DataError("there is no asset: name at least one under assets.")
    check_number("the number of assets", len(given), 1, MOST_ASSETS)
    assets = [_asset(name, value, folder) for name, value in given.items()]
    _check_ends(assets)
    camera = _mapping(found.get("camera"), "camera")
    _check_keys(camera, _keys(LayoutCamera), "camera")
    layout = Layout(assets, _read(LayoutCamera, camera, "camera"), _background(found, folder))
    if not layout.shown:
        raise DataError("every asset has `shown: false`: show at least one.")
    return layout


def _background(found: Mapping[str, Any], folder: Path) -> float | str:
    given = found.get("background", 1.0)
    if isinstance(given, str):
        return _photograph(folder, given, "background")
    grey = as_type(given, float, "background")
    check_number("background", grey, 0, 1)
    return float(grey)


def _asset(name: str, value: object, folder: Path) -> Asset:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise DataError(
            f"an asset is called {shown(name)}: give it a name of 1 to {LONGEST_NAME} letters that "
            "can be printed."
        )
    place = f"assets.{name}"
    given = _mapping(value, place)
    kind = _source_key(given, place)
    stand, own = _keys(Stand), SOURCES[kind]
    others = {key for keys in SOURCES.values() for key in keys} - {*own}
    for key in given:
        if key in others:
            raise DataError(f"{place} is of `{kind}`, to which {key} does nothing: leave it out.")
    _check_keys(given, [*own, *stand], place)
    source = _source(kind, {key: given[key] for key in given if key in own}, folder, place)
    standing = {key: given[key] for key in given if key in stand}
    return Asset(name, source, _read(Stand, standing, place))


def _source_key(given: Mapping[str, Any], place: str) -> str:
    """Which of the sources an asset has."""
    named = [key for key in SOURCES if key in given]
    if len(named) > 1:
        raise DataError(f"{place} has {' and '.join(named)}: it comes from one of them only.")
    if named:
        return named[0]
    if not any(key in DRAWING for key in given):
        _check_keys(given, [*SOURCES, *_keys(Stand)], place)
        raise DataError(f"{place} comes from nothing: give it one of {', '.join(SOURCES)}.")
    return CLASS


def _source(kind: str, given: Mapping[str, Any], folder: Path, place: str) -> Source:
    match kind:
        case "image":
            photo = _read(FromPhoto, given, place)
            return FromPhoto(_photograph(folder, photo.image, f"{place}.image"))
        case "tokens":
            stored = _read(FromTokens, given, place)
            return replace(stored, tokens=_file(folder, stored.tokens, f"{place}.tokens"))
        case "between":
            return _read(Between, given, place)
    said = {key: given[key] for key in given if key not in (CLASS, "seed")}
    options = _read(SamplingOptions, said, place)
    if options.semantics is not None:
        vector = _file(folder, options.semantics, f"{place}.semantics")
        options = replace(options, semantics=vector)
    drawn = _read(Drawn, {key: given[key] for key in given if key == "seed"}, place)
    label = as_type(given.get(CLASS), int | str | None, f"{place}.{CLASS}")
    return replace(drawn, label=None if label is None else str(label), options=options)


def _check_ends(assets: Sequence[Asset]) -> None:
    """Refuse assets between others that there are not, or that have no tokens of their own."""
    by_name = {asset.name: asset for asset in assets}
    for asset in assets:
        ends = asset.source.between if isinstance(asset.source, Between) else ()
        for end in ends:
            place = f"assets.{asset.name}.between"
            if end == asset.name:
                raise DataError(f"{place} names {end} itself: name two other assets.")
            if end not in by_name:
                near = difflib.get_close_matches(end, by_name, n=1)
                meant = f"did you mean {near[0]}?" if near else "name two others."
                raise DataError(f"{place} names {shown(end)}, which is no asset: {meant}")
            if isinstance(by_name[end].source, Between):
                raise DataError(f"{place} names {end}, which is itself between two: name others.")


def _read(of: type[Read], given: Mapping[str, Any], place: str) -> Read:
    """A dataclass of values by its fields' names, each of its type and within its limits."""
    hints = get_type_hints(of)
    values = {key: as_type(value, hints[key], f"{place}.{key}") for key, value in given.items()}
    check_limits(of, values, f"{place}.")
    return of(**values)


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    """A part of the layout; empty where there is none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"{place} is {told(value)}, it must be settings by name.")
    return value


def _check_keys(given: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}."
            raise DataError(f"{place} has the unknown key {shown(key)}: {meant}")


def _photograph(folder: Path, name: str, place: str) -> str:
    """The path of a photograph, a file or one in shards, that is named relative to a folder."""
    path = os.path.join(folder, name)
    return path if in_shards(Path(path)) else _file(folder, name, place)


def _file(folder: Path, name: str, place: str) -> str:
    """The path of a file that is named relative to a folder."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise DataError(
            f"{place} is {shown(name)}, which is no file there: paths are relative to {folder}."
        )
    return path
