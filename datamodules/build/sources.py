"""Find the images of a folder of classes, or of ImageNet's tars, without opening them."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datamodules.build.writer import MAX_KEY_LENGTH
from datamodules.errors import DataError
from datamodules.modalities import UNLABELLED
from datamodules.tar_index import list_members

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class SourceImage:
    """One image before it is read.

    key     its name in the shards
    label   index of its class, -1 without classes
    file    path of the image, or of the tar that holds it
    offset  first byte in the tar; -1 when the file is the image
    size    bytes of the compressed image, -1 when the file cannot be looked at
    name    path relative to the source without suffix, the name its mask and depth go by
    member  its name in the tar, empty when the file is the image
    """

    key: str
    label: int
    file: str
    offset: int
    size: int
    name: str
    member: str = ""

    def where(self) -> str:
        """Name for messages."""
        return f"{self.file}:{self.member}" if self.member else self.file

    def sidecar(self, folder: str) -> Path:
        """Its mask or depth in a folder of them."""
        return Path(folder, f"{self.name}.png")

    def read(self) -> bytes:
        """Read the compressed image."""
        with open(self.file, "rb") as file:
            if self.offset < 0:
                return file.read()
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class ClassList:
    """Classes to take: their folder (or tar) names and the names people read, by label."""

    folders: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class FoundImages:
    """The images of a source, its classes, and how many other files it has of each suffix."""

    images: list[SourceImage]
    classes: ClassList
    others: Counter[str]


def find_images(source: str, classes: Sequence[str] | str | None) -> FoundImages:
    """List the images of a source, sorted by class and name; hidden folders are left out.

    source   ``class/name.jpg`` folders; one tar a class (``n01440764.tar``); or loose images,
             which then have no class
    classes  folder names to take, or a text file of them: one a line, optionally followed by the
             name people read (``n01440764 tench``); their order gives the labels; None takes all

    Raises DataError when the folder, a class, or any image of a class is missing, the source is
    of several kinds at once, or two images share a key.
    """
    root = Path(source)
    if not root.is_dir():
        raise DataError(f"source {source} is not a folder: give one of class folders or of tars.")
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and _shown(entry))
    tars = sorted(entry.stem for entry in root.iterdir() if entry.suffix == ".tar")
    if classes is None:
        _check_one_kind(root, folders, tars)
    listed = read_classes(classes, (*folders, *tars), source)
    others: Counter[str] = Counter()
    if not folders and not tars:
        images = list(_in_folder(root, root, UNLABELLED, "", others))
    else:
        images = []
        for label, name in enumerate(listed.folders):
            scan = _in_class_folder if name in folders else _in_class_tar
            images += scan(root, name, label, others)
    _check_found(source, images, listed, others)
    return FoundImages(images, listed, others)


def _shown(folder: Path) -> bool:
    """Whether a folder is meant to be seen; archives of macOS bring one that is not."""
    return not folder.name.startswith(".") and folder.name != "__MACOSX"


def _check_one_kind(root: Path, folders: list[str], tars: list[str]) -> None:
    loose = sorted(e.name for e in root.iterdir() if e.suffix.lower() in IMAGE_SUFFIXES)
    kinds = [f"{len(folders)} folders"] * bool(folders) + [f"{len(tars)} tars"] * bool(tars)
    kinds += [f"{len(loose)} loose images ({loose[0]})"] if loose else []
    if len(kinds) > 1:
        raise DataError(
            f"source {root} holds {' and '.join(kinds)}: keep one kind, or name the classes to "
            "take (`--classes`)."
        )


def _check_found(
    source: str, images: list[SourceImage], listed: ClassList, others: Counter[str]
) -> None:
    if not images:
        raise DataError(
            f"source {source} holds no image: expected class/name.jpg (also png, webp, bmp, tif), "
            f"or one tar a class{'; found ' + told(others) if others else ''}."
        )
    labels = {image.label for image in images}
    for label, folder in enumerate(listed.folders):
        if label not in labels:
            raise DataError(
                f"class {folder} of {source} holds no image: remove it, or name the classes to "
                "take (`--classes`)."
            )
    _check_keys(images)


def told(others: Counter[str]) -> str:
    """Files that are no images, for a message: ``"12 .heic, 1 .txt"``."""
    return ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in others.items())


def read_classes(
    classes: Sequence[str] | str | None, available: tuple[str, ...], source: str
) -> ClassList:
    """Classes asked for, from names or from a text file; a single word is a class if there is one
    of that name, else a file. DataError if one is not available."""
    if classes is None:
        return ClassList(available, available)
    lines = [classes] if isinstance(classes, str) else list(classes)
    if len(lines) == 1 and lines[0] not in available:
        try:
            lines = Path(lines[0]).read_text().splitlines()
        except OSError as error:
            raise DataError(
                f"{lines[0]} is no class of {source}, and as a list of classes it cannot be read: "
                f"{error.strerror}."
            ) from error
    entries = [line.split(maxsplit=1) for line in lines if line.strip()]
    for entry in entries:
        if entry[0] not in available:
            raise DataError(f"class {entry[0]!r} of the class list is not in {source}.")
    return ClassList(tuple(e[0] for e in entries), tuple(e[-1].strip() for e in entries))


def _in_class_folder(
    root: Path, folder: str, label: int, others: Counter[str]
) -> Iterator[SourceImage]:
    return _in_folder(root, root / folder, label, folder, others)


def _in_folder(
    root: Path, folder: Path, label: int, prefix: str, others: Counter[str]
) -> Iterator[SourceImage]:
    """Every image below a folder; other files are counted in `others`."""
    for directory, children, files in os.walk(folder):
        children[:] = sorted(child for child in children if _shown(Path(child)))
        for file in sorted(files):
            path = Path(directory, file)
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                others[path.suffix.lower()] += 1
            else:
                name = str(path.relative_to(root).with_suffix(""))
                stem = str(path.relative_to(folder).with_suffix(""))
                key = make_key(prefix, stem)
                yield SourceImage(key, label, str(path), -1, size_of(path), name)


def size_of(path: Path) -> int:
    """Bytes of a file, -1 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _in_class_tar(
    root: Path, folder: str, label: int, others: Counter[str]
) -> Iterator[SourceImage]:
    """Every image file of a tar, under the name it would have if the tar were unpacked here."""
    path = root / f"{folder}.tar"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        members, fault = list_members(descriptor)
    finally:
        os.close(descriptor)
    if fault is not None:
        raise DataError(f"{path} is damaged: {fault}.")
    for member, offset, size in members:
        inside = PurePosixPath(member.lstrip("/"))
        if inside.suffix.lower() not in IMAGE_SUFFIXES:
            others[inside.suffix.lower()] += 1
        else:
            # Tars of a folder of the class's name and tars of its content are both common.
            stem = str(inside.with_suffix("")).removeprefix(f"{folder}/")
            key = make_key(folder, stem)
            yield SourceImage(key, label, str(path), offset, size, f"{folder}/{stem}", member)


def make_key(folder: str, stem: str) -> str:
    """Key of an image: class and file name, unless the name begins with the class already.

    ``cat/cat7``, ``cat/catBlack`` and ``cat/cat_7`` do, ``cat/catalog`` and ``1/10`` do not.
    """
    more = r"\d" if folder[-1:].isdigit() else r"[^\W\d_A-Z]"
    begun = re.match(f"{re.escape(folder)}(?!{more})", stem) is not None
    name = stem if begun or not folder else f"{folder}_{stem}"
    key = name.replace("/", "_").replace(".", "-")
    if len(key.encode()) <= MAX_KEY_LENGTH:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
    kept = key.encode()[: MAX_KEY_LENGTH - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def _check_keys(images: Sequence[SourceImage]) -> None:
    seen: dict[str, SourceImage] = {}
    for image in images:
        other = seen.setdefault(image.key, image)
        if other is not image:
            raise DataError(
                f"{other.where()} and {image.where()} would both be named {image.key}: rename one."
            )
