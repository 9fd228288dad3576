"""Layouts: assets, where each comes from and where it stands, and what they are looked at with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from datamodules.ranges import Fraction, Range
from lightning_modules.inference.limits import DrawnSeed
from lightning_modules.inference.sampling_options import SamplingOptions
from models.limits import FIELDS_OF_VIEW, LENGTHS
from renderers.cameras import Camera, orbit_camera
from renderers.placement import Placement

Coordinate = Annotated[float, Range(-1_000_000, 1_000_000)]
Degrees = Annotated[float, Range(-360, 360)]
Factor = Annotated[float, Range(0.01, 100)]
Row = Annotated[int, Range(0, 2**31 - 1)]

ROOM = 1.05
"""Share of the picture's side to the diameter of what a camera frames by default."""


@dataclass(frozen=True)
class Drawn:
    """An asset of a prior or a GAN. label: its class as the user names it, None where none is;
    options: of drawing, laid over those of the command."""

    label: str | None = None
    seed: DrawnSeed = 0
    options: SamplingOptions = SamplingOptions()


@dataclass(frozen=True)
class FromPhoto:
    """An asset that a stage-1 model makes of a photograph."""

    image: str


@dataclass(frozen=True)
class FromTokens:
    """An asset of a file of tokens. row: its number in the file, from 0."""

    tokens: str
    row: Row = 0


@dataclass(frozen=True)
class Between:
    """An asset between two others, by name. share: of the way from the first to the second."""

    between: tuple[str, str]
    share: Fraction = 0.5


Source = Drawn | FromPhoto | FromTokens | Between


@dataclass(frozen=True)
class Stand:
    """Where an asset stands, and how it is resized.

    at: middle of its box in the world; heading_degrees: from the world's +x towards -z,
    counter-clockwise from above; scale: factor on its size; stretch: more such factors along its
    own length, height and width (x, y and z); shown: False leaves it out of the scene.
    """

    at: tuple[Coordinate, Coordinate, Coordinate] = (0.0, 0.0, 0.0)
    heading_degrees: Degrees = 0.0
    scale: Factor = 1.0
    stretch: tuple[Factor, Factor, Factor] = (1.0, 1.0, 1.0)
    shown: bool = True

    @property
    def placement(self) -> Placement:
        """The same for renderers."""
        x, y, z = (self.scale * factor for factor in self.stretch)
        return Placement(self.at, math.radians(self.heading_degrees), (x, y, z))


@dataclass(frozen=True)
class Asset:
    """An asset of a layout."""

    name: str
    source: Source
    stand: Stand = Stand()


@dataclass(frozen=True)
class LayoutCamera:
    """A camera that looks at a target.

    radius: distance from it, None as far as shows all boxes from every side; fov_degrees: of the
    square picture; yaw_degrees, pitch_degrees: 0 looks along the world's -z, yaw moves the camera
    towards +x, pitch towards +y; target: None is the middle of all boxes.
    """

    radius: Annotated[float, Range(*LENGTHS)] | None = None
    fov_degrees: Annotated[float, Range(*FIELDS_OF_VIEW)] = 40.0
    yaw_degrees: Degrees = 30.0
    pitch_degrees: Annotated[float, Range(-90, 90)] = 15.0
    target: tuple[Coordinate, Coordinate, Coordinate] | None = None

    def around(self, corners: Tensor, yaws: Tensor) -> Camera:
        """Cameras (V,) turned about the vertical through the target by yaws (V,) in radians.

        corners: (N, 3) of the boxes.
        """
        middle = (corners.amin(0) + corners.amax(0)) / 2
        target = middle if self.target is None else corners.new_tensor(self.target)
        radius = self.radius
        if radius is None:
            reach = float((corners - target).norm(dim=1).max())
            radius = ROOM * reach / math.sin(math.radians(self.fov_degrees) / 2)
        yaw, pitch = math.radians(self.yaw_degrees), math.radians(self.pitch_degrees)
        return orbit_camera(yaw + yaws, pitch, radius, self.fov_degrees, target)


@dataclass(frozen=True)
class Layout:
    """Assets of distinct names, a camera, and what is behind: a grey level in [0, 1] or a file."""

    assets: Sequence[Asset]
    camera: LayoutCamera = LayoutCamera()
    background: float | str = 1.0

    @property
    def shown(self) -> list[Asset]:
        """The assets of the scene."""
        return [asset for asset in self.assets if asset.stand.shown]

    @property
    def needed(self) -> list[Asset]:
        """Those, and the others that one of them is between."""
        names = {asset.name for asset in self.shown}
        for asset in self.shown:
            if isinstance(asset.source, Between):
                names |= {*asset.source.between}
        return [asset for asset in self.assets if asset.name in names]
