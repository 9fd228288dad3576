"""`Scenes`: a batch of 3D scenes, whichever system made them."""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks.field import TriplaneField
from models.spaces import SceneBoxes, Space
from renderers.cameras import Camera, distance_to_z
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays, camera_rays, rays_to_image
from renderers.renderer import POINTS_PER_CHUNK, Field, render_image, render_rays
from renderers.rendering import Rendering


class PlaneField(Protocol):
    """A system's own part: planes and points of the cube to density and colour."""

    def __call__(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return density (B, N) float32 >= 0 and features (B, N, C), of which the first three are
        the colour."""


class Refiner(Protocol):
    """Super-resolution of what is rendered of B scenes, by a network that sees their latents.

    raw: side of the square images it takes, in pixels.
    """

    @property
    def raw(self) -> int:
        """Side in pixels."""

    def __call__(self, features: Tensor) -> Tensor:
        """Features (B, C, raw, raw) to colours (B, 3, H, W), larger ones."""

    def __getitem__(self, index: slice) -> "Refiner":
        """That of a slice of the scenes."""


@dataclass(frozen=True)
class View:
    """Whole images of scenes, float32.

    rgb: (B, 3, H, W) in [0, 1]; disparity: (B, H, W) 1 / depth along the optical axis, which is
    what depth networks and depth sidecars give; opacity: (B, H, W); disparity_range: (B, 2), 1 /
    distance of the farthest and of the nearest end of the rays through an image's pixels, see
    `Bounds.disparity_range`.
    """

    rgb: Tensor
    disparity: Tensor
    opacity: Tensor
    disparity_range: Tensor


@dataclass(frozen=True)
class Scenes:
    """B scenes: planes (B, 3, C, H, W), the field that reads them, and how they are rendered.

    canonical: the camera (1,) or (B,) a scene was made for; field: see `PlaneField`; space: of all
    scenes alike, or of each its own; refiner: makes images of what is rendered, None where that is
    the image.
    """

    planes: Tensor
    field: PlaneField
    space: Space
    sampling: RaySampling
    canonical: Camera
    refiner: Refiner | None = None

    def __len__(self) -> int:
        """Number of scenes B."""
        return len(self.planes)

    def __getitem__(self, index: slice) -> "Scenes":
        """A slice of the batch."""
        shared = len(self.canonical.cam2world) == 1
        canonical = self.canonical if shared else self.canonical[index]
        refiner = None if self.refiner is None else self.refiner[index]
        planes, space = self.planes[index], self.space.select(index)
        return Scenes(planes, self.field, space, self.sampling, canonical, refiner)

    def in_boxes(self, size: Tensor | None) -> "Scenes":
        """These scenes in boxes of known sizes (B, 3) length, width and height, NaN unknown, where
        each has a box of its own; else these."""
        if size is None or not isinstance(self.space, SceneBoxes):
            return self
        return replace(self, space=self.space.sized(size))

    def at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density (B, N) and features (B, N, C) at world points (B, N, 3), see `PlaneField`."""
        return self.field(self.planes, self.space.to_cube(points))

    def color(self, points: Tensor) -> Tensor:
        """Colour (B, N, 3) in about [0, 1] at world points (B, N, 3)."""
        return self.at(points)[1][..., :3]

    def density(self, points: Tensor) -> Tensor:
        """Density (B, N) float32 at world points (B, N, 3); for meshes and geometry metrics."""
        return self.at(points)[0]

    def render(self, rays: Rays, rng: torch.Generator | None = None) -> Rendering:
        """Render rays (B, R), with gradients; without `rng` sampling is deterministic."""
        return render_rays(
            self._field(),
            rays,
            self.sampling,
            self.space.bounds(rays),
            rng=rng,
            background=self._background(),
            far_is_opaque=self.space.background is None,
        )

    def view(
        self,
        camera: Camera,
        height: int,
        width: int,
        points_per_chunk: int = POINTS_PER_CHUNK,
    ) -> View:
        """Render whole images of cameras (B,) or (1,), without gradients, chunk by chunk.

        Scenes with a refiner are rendered at its own size, and what it makes is resized.
        points_per_chunk: field evaluations held in memory at once; the images do not depend on it.
        """
        camera = expand_camera(camera, len(self))
        if self.refiner is not None:
            return self._refined_view(self.refiner, camera, height, width, points_per_chunk)
        rays = camera_rays(camera, height, width)
        return self.view_along(rays, axis_cosine(rays, camera), (height, width), points_per_chunk)

    def view_along(
        self,
        rays: Rays,
        depth_share: Tensor,
        size: tuple[int, int],
        points_per_chunk: int = POINTS_PER_CHUNK,
    ) -> View:
        """Render whole images along rays (B, R), row by row, without gradients, chunk by chunk.

        depth_share: (B, R) depth as it is to be measured, as a share of the distance along rays;
        size: (H, W) of the images, R = H W. What a refiner would make of them is left out.
        """
        raw = self._raw_view(rays, depth_share, size, points_per_chunk)
        return replace(raw, rgb=raw.rgb[:, :3].clamp(0, 1))

    def _field(self) -> Field:
        """The field in the world, as a `Radiance` where it is one."""
        if isinstance(self.field, TriplaneField):
            return self.field.radiance(self.planes, self.space.cube)
        return self.at

    def _background(self) -> Tensor | None:
        grey = self.space.background
        return None if grey is None else self.planes.new_full((1, 1, 1), grey)

    def _raw_view(
        self, rays: Rays, depth_share: Tensor, size: tuple[int, int], points_per_chunk: int
    ) -> View:
        """Render what the rays see, in `rgb` all channels of the features."""
        bounds = self.space.bounds(rays)
        rendering = render_image(
            self._field(),
            rays,
            self.sampling,
            bounds,
            background=self._background(),
            far_is_opaque=self.space.background is None,
            points_per_chunk=points_per_chunk,
        )
        shape = (len(self), *size)
        return View(
            rays_to_image(rendering.rgb, *size),
            (rendering.disparity / depth_share).reshape(shape),
            rendering.opacity.reshape(shape),
            bounds.disparity_range(),
        )

    @torch.no_grad()
    def _refined_view(
        self, refiner: Refiner, camera: Camera, height: int, width: int, points_per_chunk: int
    ) -> View:
        rays = camera_rays(camera, refiner.raw, refiner.raw)
        size = refiner.raw, refiner.raw
        raw = self._raw_view(rays, axis_cosine(rays, camera), size, points_per_chunk)
        geometry = resized(torch.stack([raw.disparity, raw.opacity], 1), height, width)
        rgb = resized(refiner(raw.rgb).float(), height, width).clamp(0, 1)
        # The pixels shown are not those rendered: the outermost rays lie farther out.
        shown = self.space.bounds(camera_rays(camera, height, width))
        return View(rgb, geometry[:, 0], geometry[:, 1], shown.disparity_range())


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Images (B, C, H', W') at another size (B, C, H, W), bilinear and without aliasing."""
    if images.shape[-2:] == (height, width):
        return images
    smaller = height < images.shape[-2] or width < images.shape[-1]
    return F.interpolate(images, (height, width), mode="bilinear", antialias=smaller)


def expand_camera(camera: Camera, count: int) -> Camera:
    """Repeat a single camera (1,) for a batch of `count`; a batch of cameras stays as it is."""
    return Camera(
        camera.cam2world.expand(count, 4, 4).float(), camera.intrinsics.expand(count, 3, 3).float()
    )


def axis_cosine(rays: Rays, camera: Camera) -> Tensor:
    """Cosine (B, R) between rays and the optical axis: depth along the axis / distance."""
    return distance_to_z(torch.ones_like(rays.directions[..., 0]), rays.directions, camera)
