"""What draws images that are to be measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from datamodules.augment import Framing


@dataclass(frozen=True)
class Geometry:
    """Where the surfaces in B images lie, for the non-flatness score.

    values: (B, H, W) depth or disparity; low, high: (B,), the range it is counted in, no matter
    which images are drawn together; quantity: what the values are, `depth` or `disparity`; opacity:
    (B, H, W) in [0, 1], how much a pixel counts, None where all do.
    """

    values: Tensor
    low: Tensor
    high: Tensor
    quantity: str
    opacity: Tensor | None = None


@dataclass(frozen=True)
class DrawnImages:
    """Images (B, 3, H, W) in [0, 1] and, where the source knows it, their geometry."""

    rgb: Tensor
    geometry: Geometry | None = None


class ImageSource(Protocol):
    """What the evaluation needs of a generator."""

    @property
    def name(self) -> str:
        """Of the checkpoint, for errors and protocols."""

    @property
    def classes(self) -> int:
        """How many classes it draws images of, 0 if it knows none."""

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""

    @property
    def cameras(self) -> str:
        """From where scenes are seen, for protocols: figures of other cameras can't be compared."""

    @property
    def framing(self) -> Framing:
        """How the photographs of its training were cut."""

    def draw(self, labels: Sequence[int], seeds: Sequence[int]) -> DrawnImages:
        """B images of labels, -1 any class, and seeds; equal seeds draw equal images."""
