"""Spaces that scenes lie in: the part of the world that the cube of the planes stands for."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from models.limits import LENGTHS
from renderers.bounds import Bounds, box_bounds, constant_bounds
from renderers.contraction import CubeMap
from renderers.ranges import check_number
from renderers.rays import Rays

HalfExtents = tuple[float, float, float]
"""Half the sides of a box around the origin along x, y and z, in world units."""


class Space(Protocol):
    """Space of B scenes, or one that any number of scenes share."""

    @property
    def background(self) -> float | None:
        """Grey level in [0, 1] behind the scene; None: rays end on their last sample."""

    def select(self, index: slice) -> Self:
        """Space of a slice of the scenes; a shared one is itself."""

    def box(self) -> HalfExtents | None:
        """Box that holds all of the first scene, None where no box does."""

    def bounds(self, rays: Rays) -> Bounds:
        """Interval of each ray (B, R) in which there is anything to see."""

    @property
    def cube(self) -> CubeMap:
        """Map of the world into the cube of the planes."""

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (B, N, 3) to cube points (B, N, 3) in [-1, 1]."""


@dataclass(frozen=True)
class ContractedSpace:
    """Unbounded space, contracted into the cube of the planes, seen between two distances.

    near, far: distances along a ray where integration begins and ends. inner: points within it of
    the origin (infinity norm) fill the middle half of the cube without distortion, see
    `renderers.contraction`. The smaller it is, the larger a share of the planes the canonical
    view covers, and the shorter the way from a token to the texels that show its patch.

    Raises ValueError for a distance outside its range, and for a `far` that is not beyond `near`.
    """

    near: float = 1.0
    far: float = 20.0
    inner: float = 1.0

    def __post_init__(self) -> None:
        """Check the distances."""
        for name in ("near", "far", "inner"):
            check_number(name, getattr(self, name), *LENGTHS)
        if self.near >= self.far:
            raise ValueError(f"near is {self.near}, it must be below far, {self.far}.")

    @property
    def background(self) -> None:
        """None: what is far is part of the scene."""
        return

    def select(self, index: slice) -> Self:
        """This space, which all scenes share."""
        return self

    def box(self) -> None:
        """None: a scene has no end."""
        return

    def bounds(self, rays: Rays) -> Bounds:
        """The interval from `near` to `far` of every ray (B, R)."""
        return constant_bounds(rays, self.near, self.far)

    def scale_disparity(self, disparity: Tensor) -> Tensor:
        """Map disparity linearly so that `far` becomes 0 and `near` 1."""
        return (disparity - 1 / self.far) / (1 / self.near - 1 / self.far)

    @property
    def cube(self) -> CubeMap:
        """Contraction of what lies beyond `inner`."""
        return CubeMap(self.inner, contracted=True)

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (..., 3) to cube points (..., 3) in [-1, 1]."""
        return self.cube(points)


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
        check_number("half", self.half, *LENGTHS)
        _check_background(self.background)

    def select(self, index: slice) -> Self:
        """This box, which all scenes share."""
        return self

    def box(self) -> HalfExtents:
        """The box itself, a cube."""
        return self.half, self.half, self.half

    def bounds(self, rays: Rays) -> Bounds:
        """Interval of each ray (B, R) between where it enters and where it leaves the box."""
        return box_bounds(rays, self.half)

    @property
    def cube(self) -> CubeMap:
        """The box to the cube."""
        return CubeMap(self.half)

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (..., 3) to cube points (..., 3); those of the box in [-1, 1]."""
        return self.cube(points)


@dataclass(frozen=True, eq=False)
class SceneBoxes:
    """A box around the origin for each of B scenes, of sides of its own.

    half_extents: (B, 3) half the sides along x, y and z, in world units, finite and above 0: to
        check it, the host would wait for the device. Gradients reach them.
    background: as of `BoxSpace`. reach: half the side of the part of the world that the cube of the
    planes stands for, the same for all scenes, so that objects keep their size there; None lets
    every box fill the cube.

    Raises ValueError for another shape, a grey level outside [0, 1], and, when used, rays or points
    of another number of scenes.
    """

    half_extents: Tensor
    background: float | None = 1.0
    reach: float | None = None

    def __post_init__(self) -> None:
        """Check shape, background and reach."""
        shape = tuple(self.half_extents.shape)
        if len(shape) != 2 or shape[1] != 3:
            raise ValueError(f"SceneBoxes half_extents are {shape}: give (B, 3), a row a scene.")
        _check_background(self.background)
        if self.reach is not None:
            check_number("reach", self.reach, *LENGTHS)

    def select(self, index: slice) -> "SceneBoxes":
        """The boxes of a slice of the scenes."""
        return replace(self, half_extents=self.half_extents[index])

    def sized(self, size: Tensor) -> "SceneBoxes":
        """These boxes, but of the sizes (B, 3) length, width and height where they are known; NaN
        where they are not."""
        known = ~size.isnan().any(1, keepdim=True)
        half_extents = torch.where(known, box_sides(size) / 2, self.half_extents)
        return replace(self, half_extents=half_extents)

    def box(self) -> HalfExtents:
        """The box of the first scene."""
        x, y, z = self.half_extents[0].tolist()
        return x, y, z

    def bounds(self, rays: Rays) -> Bounds:
        """Interval of each ray (B, R) between where it enters and where it leaves its box."""
        self._check_scenes(len(rays.directions))
        return box_bounds(rays, self.half_extents)

    @property
    def cube(self) -> CubeMap:
        """Every box to the cube, or the part of the world within `reach`."""
        return CubeMap(self.half_extents if self.reach is None else self.reach)

    def to_cube(self, points: Tensor) -> Tensor:
        """World points (B, N, 3) to cube points (B, N, 3); those of their box in [-1, 1]."""
        self._check_scenes(len(points))
        return self.cube(points)

    def _check_scenes(self, count: int) -> None:
        """Refuse another number of scenes, which one box, or one scene, would broadcast to."""
        if count != len(self.half_extents):
            raise ValueError(
                f"SceneBoxes holds {len(self.half_extents)} boxes for {count} scenes: give "
                "half_extents a row a scene."
            )


def box_sides(size: Tensor) -> Tensor:
    """Sides (B, 3) along x, y and z of boxes of length, width and height (B, 3): objects face +x,
    +y is up. It is its own inverse.

    >>> box_sides(torch.tensor([[4.0, 2.0, 1.5]])).tolist()
    [[4.0, 1.5, 2.0]]
    """
    length, width, height = size.unbind(1)
    return torch.stack([length, height, width], 1)


def _check_background(grey: float | None) -> None:
    """Raise ValueError for a grey level outside [0, 1]."""
    if grey is not None:
        check_number("background", grey, 0, 1)
