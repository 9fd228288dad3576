"""The exception for faults that the user can mend, several of them at once, and their words."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from renderers.ranges import range_fault


class DataError(Exception):
    """A fault in the data or its settings, told in one sentence naming the value and the knob."""


@dataclass
class Failures:
    """Why some of several things failed, while the others were done."""

    total: int
    reasons: list[str] = field(default_factory=list)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep a DataError of the block, which is about one of the things."""
        try:
            yield
        except DataError as error:
            self.reasons.append(str(error).rstrip("."))

    def tell(self) -> None:
        """DataError with every reason, if there is one."""
        if self.reasons:
            count = f"{len(self.reasons)} of {self.total} failed: " if self.total > 1 else ""
            raise DataError(f"{count}{'; '.join(self.reasons)}.")


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a number outside its range, both ends of which are allowed; an end is infinite where
    there is no limit, and infinite values are refused there too.

    Args:
        name: the option or argument that sets it, as the user writes it.

    Raises:
        DataError: the value is outside, NaN, or no number.

    >>> check_number("--frames", 12, 1, 10_000)
    >>> check_number("--frames", 0, 1, 10_000)
    Traceback (most recent call last):
    datamodules.errors.DataError: --frames is 0, it must be from 1 to 10,000.
    """
    if (fault := range_fault(name, value, low, high)) is not None:
        raise DataError(fault)


def counted(number: int, noun: str, several: str = "") -> str:
    """A number and what it counts, of which there may be one.

    several: the noun's plural where it is not formed with an s.

    >>> counted(1, "image"), counted(2, "image"), counted(0, "class", "classes")
    ('1 image', '2 images', '0 classes')
    """
    return f"{number} {noun if number == 1 else several or noun + 's'}"


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its type where it says nothing; the system's reason
    alone, without number and path, where it is the system's."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n", 1)[0] or type(error).__name__
