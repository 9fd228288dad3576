"""`Scenes`: a batch of 3D scenes, whichever system made them."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from renderers.bounds import Bounds, constant_bounds
from renderers.cameras import Camera, distance_to_z
from renderers.contraction import contract
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays, camera_rays, rays_to_image
from renderers.renderer import render_image, render_rays
from renderers.rendering import Rendering


class PlaneField(Protocol):
    """What a system supplies: planes and points of the cube to density and colour."""

    def __call__(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return density (B, N) float32 >= 0 and features (B, N, C)."""


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
class View:
    """Whole images of scenes, float32.

    rgb: (B, 3, H, W) in [0, 1]; disparity: (B, H, W) 1 / depth along the optical axis, which is
    what depth networks and depth sidecars give; opacity: (B, H, W).
    """

    rgb: Tensor
    disparity: Tensor
    opacity: Tensor


@dataclass(frozen=True)
class Scenes:
    """B scenes: planes (B, 3, C, H, W), the field that reads them, and how they are rendered.

    canonical: the camera (1,) or (B,) a scene was made for; field: see `PlaneField`.
    """

    planes: Tensor
    field: PlaneField
    space: ContractedSpace
    sampling: RaySampling
    canonical: Camera

    def __len__(self) -> int:
        """Number of scenes B."""
        return len(self.planes)

    def __getitem__(self, index: slice) -> "Scenes":
        """A slice of the batch."""
        shared = len(self.canonical.cam2world) == 1
        canonical = self.canonical if shared else self.canonical[index]
        return Scenes(self.planes[index], self.field, self.space, self.sampling, canonical)

    def at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density (B, N) and colour (B, N, 3) at world points (B, N, 3)."""
        return self.field(self.planes, self.space.to_cube(points))

    def density(self, points: Tensor) -> Tensor:
        """Density (B, N) float32 at world points (B, N, 3); for meshes and geometry metrics."""
        return self.at(points)[0]

    def render(self, rays: Rays, noise: torch.Generator | None = None) -> Rendering:
        """Render rays (B, R), with gradients; without `noise` sampling is deterministic."""
        bounds = self.space.bounds(rays)
        return render_rays(
            self.at, rays, self.sampling, bounds, generator=noise, far_is_opaque=True
        )

    def view(self, camera: Camera, height: int, width: int) -> View:
        """Render whole images of cameras (B,) or (1,), without gradients, chunk by chunk."""
        camera = expand_camera(camera, len(self))
        rendering = render_image(
            self.at, camera, height, width, self.sampling, self.space.bounds, far_is_opaque=True
        )
        shape = (len(self), height, width)
        cosine = axis_cosine(camera_rays(camera, height, width), camera)
        return View(
            rays_to_image(rendering.rgb, height, width).clamp(0, 1),
            (rendering.disparity / cosine).reshape(shape),
            rendering.opacity.reshape(shape),
        )


def expand_camera(camera: Camera, count: int) -> Camera:
    """Repeat a single camera (1,) for a batch of `count`; a batch of cameras stays as it is."""
    return Camera(
        camera.cam2world.expand(count, 4, 4).float(), camera.intrinsics.expand(count, 3, 3).float()
    )


def axis_cosine(rays: Rays, camera: Camera) -> Tensor:
    """Cosine (B, R) between rays and the optical axis: depth along the axis / distance."""
    return distance_to_z(torch.ones_like(rays.directions[..., 0]), rays.directions, camera)
