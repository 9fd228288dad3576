"""Distribution of the cameras that a data set's photographs were taken from."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.autoencoder import CanonicalView
from models.limits import FIELDS_OF_VIEW, LENGTHS
from renderers.cameras import Camera, orbit_camera
from renderers.ranges import check_number
from renderers.view_sampling import (
    band_directions,
    direction_angles,
    perturbed,
    sphere_directions,
)

Range = tuple[float, float]


@dataclass(frozen=True)
class ViewDistribution:
    """Cameras that look at the origin from a sphere, or from a band of it, uniformly in area.

    radius: distance from the origin, in world units; fov_degrees: field of view; yaw_degrees,
    pitch_degrees: limits of the band, by default the whole sphere (arXiv 2402.00225);
    perturbation_degrees: spread of a random turn of every camera about the origin, on top: it
    blurs the limits and the fixed angles between several views, while a single view on the whole
    sphere is as uniform as before.

    Raises ValueError for limits that are not ascending or outside the sphere.
    """

    radius: float = 1.2
    fov_degrees: float = 49.13
    yaw_degrees: Range = (-180.0, 180.0)
    pitch_degrees: Range = (-90.0, 90.0)
    perturbation_degrees: float = 0.0

    def __post_init__(self) -> None:
        """Check the limits."""
        check_number("radius", self.radius, *LENGTHS)
        check_number("fov_degrees", self.fov_degrees, *FIELDS_OF_VIEW)
        for name, angles, limit in (
            ("yaw_degrees", self.yaw_degrees, 180.0),
            ("pitch_degrees", self.pitch_degrees, 90.0),
        ):
            if len(angles) != 2 or not -limit <= angles[0] <= angles[1] <= limit:
                raise ValueError(
                    f"{name} is {list(angles)}, it must be two ascending angles from {-limit} to "
                    f"{limit}."
                )
        check_number("perturbation_degrees", self.perturbation_degrees, 0, 180)

    @property
    def whole_sphere(self) -> bool:
        """Whether every direction occurs."""
        return self.yaw_degrees == (-180.0, 180.0) and self.pitch_degrees == (-90.0, 90.0)

    def directions(self, scenes: int, views: int, rng: torch.Generator) -> Tensor:
        """V directions a scene (B, V, 3), far apart by construction; see `view_sampling`."""
        if self.whole_sphere:
            found = sphere_directions(scenes, views, rng)
        else:
            yaw, pitch = _radians(self.yaw_degrees), _radians(self.pitch_degrees)
            found = band_directions(scenes, views, yaw, pitch, rng)
        return perturbed(found, math.radians(self.perturbation_degrees), rng)

    def cameras(self, directions: Tensor) -> Camera:
        """Cameras (...) that look at the origin from directions (..., 3)."""
        return orbit_camera(*direction_angles(directions), self.radius, self.fov_degrees)

    def canonical(self) -> CanonicalView:
        """The view from the middle of the band."""
        return CanonicalView(
            self.radius,
            self.fov_degrees,
            math.radians(sum(self.yaw_degrees) / 2),
            math.radians(sum(self.pitch_degrees) / 2),
        )

    def around(self, views: int) -> Camera:
        """V cameras (V,) that share the band's width evenly, at its middle pitch."""
        yaw = _radians(self.yaw_degrees)
        steps = (torch.arange(views) + 0.5) / views - 0.5
        turn = steps * (yaw[1] - yaw[0])
        return self.canonical().offset(turn, torch.zeros(views))


def _radians(limits: Range) -> Range:
    return math.radians(limits[0]), math.radians(limits[1])
