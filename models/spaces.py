"""Where a scene lies: which part of space the cube of the planes stands for."""

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from renderers.bounds import Bounds, box_bounds, constant_bounds
from renderers.contraction import contract
from renderers.rays import Rays


class Space(Protocol):
    """What `Scenes` need to know of space."""

    @property
    def background(self) -> float | None:
        """Grey level in [0, 1] behind the scene; None: rays end on their last sample."""

    def bounds(self, rays: Rays) -> Bounds:
        """Where along the rays there is anything to see."""

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (..., 3) to cube points (..., 3) in [-1, 1]."""


@dataclass(frozen=True)
class ContractedSpace:
    """Unbounded space, contracted into the cube of the planes, seen between two distances.

    near, far: distances along a ray where integration begins and ends. inner: points within it of
    the origin (infinity norm) fill the middle half of the cube without distortion, see
    `renderers.contraction`. The smaller it is, the larger a share of the planes the canonical
    view covers, and the shorter the way from a token to the texels that show its patch.
    """

    near: float = 1.0
    far: float = 20.0
    inner: float = 1.0

    @property
    def background(self) -> None:
        """None: what is far is part of the scene."""
        return

    def bounds(self, rays: Rays) -> Bounds:
        """Where along the rays there is anything to see."""
        return constant_bounds(rays, self.near, self.far)

    def scale_disparity(self, disparity: Tensor) -> Tensor:
        """Map disparity linearly so that `far` becomes 0 and `near` 1."""
        return (disparity - 1 / self.far) / (1 / self.near - 1 / self.far)

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (..., 3) to cube points (..., 3) in [-1, 1]."""
        return contract(points / self.inner)


@dataclass(frozen=True)
class BoxSpace:
    """A box around the origin with nothing outside it: an object before an even background.

    half: half the side of the box, in world units (EG3D's `box_warp` / 2). background: grey level
    behind it, 0 black to 1 white; None makes the far side of the box opaque, so that the box holds
    a background of its own.
    """

    half: float = 0.5
    background: float | None = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a box without extent or a grey level outside [0, 1]."""
        if not (self.half > 0 and math.isfinite(self.half)):
            raise ValueError(f"BoxSpace half is {self.half}: give a number above 0.")
        if self.background is not None and not 0 <= self.background <= 1:
            raise ValueError(
                f"BoxSpace background is {self.background}: give a grey level from 0 to 1, or null."
            )

    def bounds(self, rays: Rays) -> Bounds:
        """Where rays enter and leave the box."""
        return box_bounds(rays, self.half)

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (..., 3) to cube points (..., 3); those of the box in [-1, 1]."""
        return points / self.half
