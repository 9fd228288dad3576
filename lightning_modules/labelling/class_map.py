"""Which classes of a segmentation network are the object, what may hide it, and what is behind."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from datamodules.errors import DataError
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT, MASK_OCCLUDER, MASK_UNKNOWN
from datamodules.settings_files import read_settings
from models.stored import as_type

OPTION = "--classes"
Role = Literal["object", "occluder", "background", "unknown"]
ROLES: tuple[Role, ...] = get_args(Role)
CODES: Mapping[Role, int] = {
    "object": MASK_OBJECT,
    "occluder": MASK_OCCLUDER,
    "background": MASK_BACKGROUND,
    "unknown": MASK_UNKNOWN,
}


@dataclass(frozen=True)
class ClassMap:
    """Roles of classes, by their names.

    object, occluder, background, unknown: the names of those that have the role; rest: role of all
    others; one_object: of several objects in an image the largest is the object, the others may
    hide it.

    Raises ValueError if a class has two roles, or none is the object.
    """

    object: tuple[str, ...] = ()
    occluder: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    rest: Role = "unknown"
    one_object: bool = False

    def __post_init__(self) -> None:
        """Check the roles."""
        if not self.object and self.rest != "object":
            raise ValueError("no class is the object: name at least one under `object`")
        named = [name.casefold() for role in ROLES for name in self.named(role)]
        if twice := [name for name in named if named.count(name) > 1]:
            raise ValueError(f"the class {twice[0]} has several roles: leave it one")

    def named(self, role: Role) -> tuple[str, ...]:
        """Names of the classes with a role."""
        return {
            "object": self.object,
            "occluder": self.occluder,
            "background": self.background,
            "unknown": self.unknown,
        }[role]

    def codes(self, names: Mapping[int, str], network: str) -> np.ndarray:
        """Mask code (N,) uint8 of each class of a network, by its number.

        Args:
            names: of the network's classes; network: its own name, for errors.

        Raises:
            DataError: a class that is named is none of the network's.
        """
        numbers: dict[str, list[int]] = {}
        for number, name in names.items():
            numbers.setdefault(name.casefold(), []).append(number)
        table = np.full(max(names, default=0) + 1, CODES[self.rest], np.uint8)
        for role in ROLES:
            for name in self.named(role):
                if name.casefold() not in numbers:
                    near = difflib.get_close_matches(name, names.values(), n=1)
                    meant = f"did you mean {near[0]}?" if near else f"it has {_some(names)}."
                    raise DataError(f"{OPTION}: {network} has no class {name!r}: {meant}")
                table[numbers[name.casefold()]] = CODES[role]
        return table

    def text(self) -> str:
        """In one line, for the manifest."""
        parts = [f"{role}: {', '.join(self.named(role))}" for role in ROLES if self.named(role)]
        parts.append(f"rest: {self.rest}")
        return "; ".join([*parts, *(["one object"] if self.one_object else [])])


def read_class_map(path: str) -> ClassMap:
    """The class map in a YAML file, by the names of its fields.

    Raises:
        DataError: it is no readable YAML mapping, or one sentence with the first key that is
            unknown or of another type, or what `ClassMap` refuses.
    """
    found = read_settings(path, OPTION)
    try:
        read: ClassMap = as_type(found, ClassMap, path)
    except ValueError as error:
        raise DataError(f"{error}.") from error
    return read


def _some(names: Mapping[int, str]) -> str:
    listed = list(names.values())
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more


@dataclass(frozen=True)
class Segments:
    """Parts of an image, as a network tells them apart.

    part: (H, W) int, number of the part that each pixel belongs to, -1 for none; classes: (N,) int,
    number of the class of each part; gap: role of pixels that belong to none.
    """

    part: np.ndarray
    classes: np.ndarray
    gap: Role = "unknown"


def segment_codes(segments: Segments, codes: np.ndarray, one_object: bool) -> np.ndarray:
    """Mask codes (H, W) uint8 of the parts of an image, by the codes (K,) of the classes.

    one_object: of several parts that are the object the largest one, the first of equals, stays so;
    the others may be before it, and count as occluders.
    """
    of_parts = codes[segments.classes]
    objects = np.flatnonzero(of_parts == MASK_OBJECT)
    if one_object and len(objects) > 1:
        inside = segments.part[segments.part >= 0]
        areas = np.bincount(inside, minlength=len(of_parts))[objects]
        of_parts = of_parts.copy()
        of_parts[np.delete(objects, areas.argmax())] = MASK_OCCLUDER
    with_gap = np.append(of_parts, np.uint8(CODES[segments.gap]))
    return with_gap[segments.part]
