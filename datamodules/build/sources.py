"""Find the images of a folder of classes, or of ImageNet's tars, without opening them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.build.class_list import ClassList, read_classes
from datamodules.build.search import (
    PassedOver,
    Search,
    SourceImage,
    check_entering,
    refuse_folder,
    told,
)
from datamodules.errors import DataError
from datamodules.modalities import UNLABELLED
from datamodules.picture import SUFFIXES, is_hidden


@dataclass(frozen=True)
class FoundImages:
    """The images of a source, its classes, and what else it has."""

    images: list[SourceImage]
    classes: ClassList
    passed: PassedOver


def find_images(source: str, classes: Sequence[str] | str | None) -> FoundImages:
    """List the images of a source, sorted by class and name; what is hidden is left out.

    source   ``class/name.jpg`` folders; one tar a class (``n01440764.tar``); or loose images,
             which then have no class; links are followed, each folder once
    classes  folder names to take, or a text file of them: one a line, optionally followed by the
             name people read (``n01440764 tench``); their order gives the labels; None takes all

    Raises DataError when the folder, a class, or any image of a class is missing, a folder or tar
    cannot be read, the source is of several kinds at once, a folder belongs to two classes, or two
    images share a key.
    """
    root = Path(source)
    if not source or not root.is_dir():
        unpack = ", unpack it" if root.is_file() else ""
        raise DataError(
            f"source {source or repr('')} is not a folder: give one of class folders or of tars"
            f"{unpack}."
        )
    shown = [entry for entry in _entries(root) if not is_hidden(entry.name)]
    folders = {entry.name: entry for entry in shown if entry.is_dir()}
    files = [entry for entry in shown if not entry.is_dir()]
    tars = [entry for entry in files if entry.suffix.lower() == ".tar"]
    if classes is None:
        _check_one_kind(root, folders, tars, files)
    by_class = {tar.stem: tar for tar in tars} | folders
    listed = read_classes(classes, tuple(by_class), source)
    for tar in tars:
        if tar.stem in listed.folders and by_class[tar.stem] != tar:
            raise DataError(f"{by_class[tar.stem]} and {tar} are of one class: remove one.")
    search = Search(root)
    images: list[SourceImage] = []
    if not folders and not tars:
        images += search.folder(root, UNLABELLED, "")
    else:
        # Images beside the classes, which only a list of classes allows, are not wanted.
        list(search.sizes(file for file in files if file.suffix.lower() != ".tar"))
        for label, name in enumerate(listed.folders):
            find = search.folder if name in folders else search.tar
            images += find(by_class[name], label, name)
    _check_found(source, images, listed, search.passed)
    return FoundImages(images, listed, search.passed)


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        refuse_folder(error)
    check_entering(folder)
    return entries


def _check_one_kind(
    root: Path, folders: dict[str, Path], tars: list[Path], files: list[Path]
) -> None:
    loose = [file.name for file in files if file.suffix.lower() in SUFFIXES]
    kinds = [f"{len(folders)} folders"] * bool(folders) + [f"{len(tars)} tars"] * bool(tars)
    kinds += [f"{len(loose)} loose images ({loose[0]})"] if loose else []
    if len(kinds) > 1:
        raise DataError(
            f"source {root} holds {' and '.join(kinds)}: keep one kind, or name the classes to "
            "take (`--classes`)."
        )


def _check_found(
    source: str, images: list[SourceImage], listed: ClassList, passed: PassedOver
) -> None:
    if not images:
        raise DataError(
            f"source {source} holds no image: expected class/name.jpg (also png, webp, bmp, tif), "
            f"or one tar a class{'; found ' + told(passed.others) if passed.others else ''}."
        )
    labels = {image.label for image in images}
    for label, folder in enumerate(listed.folders):
        if label not in labels:
            raise DataError(
                f"class {folder} of {source} holds no image: remove it, or name the classes to "
                "take (`--classes`)."
            )
    _check_keys(images)


def _check_keys(images: Sequence[SourceImage]) -> None:
    seen: dict[str, SourceImage] = {}
    for image in images:
        other = seen.setdefault(image.key, image)
        if other is not image:
            raise DataError(
                f"{other.where()} and {image.where()} would both be named {image.key}: rename one."
            )
