"""Walk through the folders and tars of a source, each once, without opening an image."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn

from datamodules.build.keys import legible, make_key
from datamodules.errors import DataError
from datamodules.modalities import UNLABELLED
from datamodules.picture import MAX_BYTES, SUFFIXES, PictureError, is_hidden
from datamodules.tar_headers import Member
from datamodules.tar_index import list_members

_PACKED = (
    *(".gz", ".bz2", ".xz", ".zst", ".lz4", ".lz", ".lzma", ".z", ".tgz", ".tbz", ".tbz2", ".txz"),
    *(".tzst", ".zip", ".7z", ".rar"),
)


@dataclass(frozen=True)
class SourceImage:
    """One image before it is read.

    key     its name in the shards
    label   index of its class, -1 without classes
    file    path of the image, or of the tar that holds it
    offset  first byte in the tar; -1 when the file is the image
    size    bytes of the compressed image, -1 when the file cannot be looked at
    name    path relative to the source without suffix, the name its sidecars go by
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
        """Name for messages and lists, in which it is `legible`."""
        return legible(f"{self.file}:{self.member}" if self.member else self.file)

    def sidecar(self, folder: str, suffix: str = ".png") -> Path:
        """Its mask, depth or attributes in a folder of them."""
        return Path(folder, f"{self.name}{suffix}")

    def read(self) -> bytes:
        """Read the compressed image; PictureError if it cannot be read or is too large."""
        if self.size > MAX_BYTES:
            raise PictureError(f"it has {self.size:,} bytes, the limit is {MAX_BYTES:,}")
        try:
            with open(self.file, "rb") as file:
                if self.offset < 0:
                    return file.read()
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise PictureError(f"it cannot be read: {error.strerror}") from error


@dataclass
class PassedOver:
    """What a source has beside images; grows while it is searched.

    others    how many files of each suffix that is none of an image
    special   pipes, sockets and devices, which are not opened
    repeated  folders that links lead to again, which are not searched again
    """

    others: Counter[str] = field(default_factory=Counter)
    special: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """One for each kind that there is."""
        found = []
        if self.others:
            found.append(f"not taken, no images by their suffix: {told(self.others, ' files')}")
        if self.special:
            found.append(f"not taken, no files: {_some(self.special)}")
        if self.repeated:
            found.append(f"searched once, though links lead there again: {_some(self.repeated)}")
        return found


class Search:
    """A walk through a source that goes into each folder once."""

    def __init__(self, root: Path) -> None:
        self.passed = PassedOver()
        self._root = root
        # Links back to the source or to what it lies in would begin anew from there.
        around = (root, *root.resolve().parents)
        self._entered = {_identity(folder): (UNLABELLED, str(folder)) for folder in around}

    def folder(self, folder: Path, label: int, prefix: str) -> Iterator[SourceImage]:
        """Every image below a folder, by whatever links."""
        if folder != self._root and not self._enter(folder, label):
            return
        for directory, children, files in os.walk(folder, onerror=refuse_folder, followlinks=True):
            check_entering(directory)
            inside = (Path(directory, child) for child in sorted(children) if not is_hidden(child))
            children[:] = [child.name for child in inside if self._enter(child, label)]
            paths = (Path(directory, file) for file in sorted(files) if not is_hidden(file))
            for path, size in self.sizes(paths):
                name = str(path.relative_to(self._root).with_suffix(""))
                key = make_key(prefix, str(path.relative_to(folder).with_suffix("")))
                yield SourceImage(key, label, str(path), -1, size, name)

    def sizes(self, paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
        """The images among some files, with `size_of` each; counts the others."""
        for path in paths:
            try:
                status = path.stat()
            except OSError:  # its reading says why
                status = None
            if status is not None and not stat.S_ISREG(status.st_mode):
                self.passed.special.append(str(path))
            elif path.suffix.lower() not in SUFFIXES:
                self.passed.others[path.suffix.lower()] += 1
            else:
                yield path, -1 if status is None else status.st_size

    def tar(self, path: Path, label: int, folder: str) -> Iterator[SourceImage]:
        """Every image file of a tar, under the name it would have if the tar were unpacked here."""
        for member, offset, size in _members(path):
            inside = PurePosixPath(member.lstrip("/"))
            if any(part != ".." and is_hidden(part) for part in inside.parts):
                continue
            if inside.suffix.lower() not in SUFFIXES:
                self.passed.others[inside.suffix.lower()] += 1
            else:
                # Tars of a folder of the class's name and tars of its content are both common.
                stem = str(inside.with_suffix("")).removeprefix(f"{folder}/")
                key, name = make_key(folder, stem), f"{folder}/{stem}"
                yield SourceImage(key, label, str(path), offset, size, name, member)

    def _enter(self, folder: Path, label: int) -> bool:
        """Whether a folder is entered for the first time; DataError if another class has it."""
        identity = _identity(folder)
        if identity not in self._entered:
            self._entered[identity] = label, str(folder)
            return True
        other, before = self._entered[identity]
        if label != other != UNLABELLED:
            raise DataError(
                f"{before} and {folder} are one folder in two classes: remove one of the links."
            )
        self.passed.repeated.append(f"{folder} (is {before})")
        return False


def told(others: Counter[str], kind: str = "") -> str:
    """Files that are no images, for a message: ``"12 .heic, 1 .txt"``, and that packed ones must
    be unpacked."""
    counts = (f"{count} {legible(suffix) or 'without suffix'}" for suffix, count in others.items())
    unpack = ", which must be unpacked first" if others.keys() & set(_PACKED) else ""
    return ", ".join(counts) + kind + unpack


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(legible, names[:3])) + more


def size_of(path: Path) -> int:
    """Bytes of a file, -1 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def check_entering(folder: str | Path) -> None:
    """DataError of a folder that can be listed, but of which nothing can be opened."""
    if not os.access(folder, os.X_OK):
        reason = os.strerror(errno.EACCES)
        raise DataError(f"the files of folder {folder} cannot be opened: {reason}.")


def refuse_folder(error: OSError) -> NoReturn:
    """DataError of a folder that cannot be listed."""
    raise DataError(f"folder {error.filename} cannot be read: {error.strerror}.") from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise DataError(f"folder {folder} cannot be read: {error.strerror}.") from error
    return status.st_dev, status.st_ino


def _members(path: Path) -> list[Member]:
    """Every file of a tar; DataError if it is damaged or none."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is a pipe, socket or device, not a tar: remove it.")
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        members, fault = list_members(descriptor)
    finally:
        os.close(descriptor)
    if fault is not None:
        raise DataError(f"{path} cannot be used: {fault}.")
    return members
